// The report against the ID block the guest was launched with. Firmware sheet 5.1, 5.4.
#include <cstring>

#include "attest/id_block_files.hpp"
#include "attest/verify.hpp"

namespace softsnp::attest {
namespace {

template <usize count>
bool differ(const u8 (&one)[count], const u8 (&other)[count]) {
  return std::memcmp(one, other, count) != 0;
}

}  // namespace

void check_id_block(Verdict& verdict, const psp::AttestationReport& report,
                    const psp::IdBlock& block, const psp::IdAuth& auth) {
  verdict.judge(check::id_auth, signature_problems(block, auth),
                "the ID block is signed as its authentication information says");
  std::vector<std::string> problems;
  const auto require = [&problems](bool bad, const char* field) {
    if (bad) {
      problems.push_back(std::string(field) + " differs");
    }
  };
  require(!(report.measurement == block.launch_digest), "MEASUREMENT");
  require(differ(report.family_id, block.family_id), "FAMILY_ID");
  require(differ(report.image_id, block.image_id), "IMAGE_ID");
  require(report.guest_svn != block.guest_svn, "GUEST_SVN");
  require(report.policy != block.policy, "POLICY");
  require(!(report.id_key_digest == key_digest(auth.id_key)), "ID_KEY_DIGEST");
  const bool has_author = (report.signer_info & psp::signer_info::author_key_en) != 0;
  require(has_author && !(report.author_key_digest == key_digest(auth.author_key)),
          "AUTHOR_KEY_DIGEST");
  verdict.judge(check::id_block, problems, "the report is of a guest launched with this ID block");
}

}  // namespace softsnp::attest
