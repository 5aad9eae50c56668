// Any files as certificates, revocation lists and certificate tables: one line, or a chain that is
// held against the sheet's real report without harm.
// Input: files, each with its u16 length before it.
#include "attest/certificate_table.hpp"
#include "attest/verify.hpp"
#include "tests/attest/known_report.hpp"
#include "tests/fuzz/fuzz_bytes.hpp"

namespace {

using namespace softsnp;

void require(bool condition) {
  if (!condition) {
    __builtin_trap();
  }
}

void check_table(std::span<const u8> file) {
  const auto table = attest::read_certificate_table("table", file);
  if (!table) {
    require(table.error().find('\n') == std::string::npos);
    return;
  }
  for (const attest::TableEntry& entry : *table) {
    require(entry.blob.data() >= file.data() &&
            entry.blob.data() + entry.blob.size() <= file.data() + file.size());
  }
}

void run(std::span<const u8> input) {
  static const attest::Report report = *attest::read_report("report", attest::test::known_report());
  constexpr usize most_files = 8;
  fuzz::Bytes bytes(input);
  attest::Credentials credentials;
  for (usize count = 0; count < most_files && !bytes.empty(); ++count) {
    const auto length = bytes.take<u16>();
    const auto file = bytes.take_bytes(length);
    check_table(file);
    const auto added = attest::add_credentials(credentials, "file", file);
    require(added || added.error().find('\n') == std::string::npos);
  }
  for (const auto key : {psp::SigningKey::vcek, psp::SigningKey::vlek}) {
    const auto chain = attest::choose_chain(credentials, key);
    if (!chain) {
      require(chain.error().find('\n') == std::string::npos);
      continue;
    }
    const auto verdict = attest::verify({report, *chain, credentials.revocations, {}, 0});
    require(!verdict.holds());  // nothing was valid in 1970
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const softsnp::u8* data, softsnp::usize size) {
  run({data, size});
  return 0;
}
