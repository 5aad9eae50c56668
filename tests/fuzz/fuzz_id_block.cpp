// Any file as ID block, ID authentication information and signing key; both files one after the
// other are held against a report as well.
#include "attest/id_block.hpp"
#include "attest/id_block_files.hpp"
#include "attest/verify.hpp"
#include "tests/attest/known_id_block.hpp"

namespace {

using namespace softsnp;

void require(bool condition) {
  if (!condition) {
    __builtin_trap();
  }
}

template <class T>
bool one_line_or_value(const Result<T, std::string>& result) {
  require(result || result.error().find('\n') == std::string::npos);
  return result.ok();
}

void check_pair(std::span<const u8> input) {
  const auto block = attest::read_id_block("block", input.first(sizeof(psp::IdBlock)));
  const auto auth = attest::read_id_auth("auth", input.subspan(sizeof(psp::IdBlock)));
  if (!one_line_or_value(block) || !one_line_or_value(auth)) {
    return;
  }
  static const std::vector<u8> real = attest::test::raw(attest::test::known_block());
  static const std::vector<u8> key = attest::test::raw(attest::test::known_auth().id_key);
  const bool signed_by_real_key =
      attest::test::raw(auth->id_key) == key && attest::signature_problems(*block, *auth).empty();
  require(!signed_by_real_key || attest::test::raw(*block) == real);
  attest::Verdict verdict;
  attest::check_id_block(verdict, {}, *block, *auth);
  require(!verdict.holds());  // an empty report has no key
}

void run(std::span<const u8> input) {
  one_line_or_value(attest::read_id_block("block", input));
  one_line_or_value(attest::read_id_auth("auth", input));
  const auto key = attest::SigningKey::from_pem("key", input);
  require(key || key.error().find('\n') == std::string::npos);
  if (input.size() >= sizeof(psp::IdBlock)) {
    check_pair(input);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const softsnp::u8* data, softsnp::usize size) {
  run({data, size});
  return 0;
}
