// ID block and ID authentication information read back, and held against reports. The vectors are
// those of firmware sheet 5.4.
#include "attest/id_block_files.hpp"

#include <gtest/gtest.h>

#include "attest/text.hpp"
#include "attest/verify.hpp"
#include "tests/attest/known_id_block.hpp"

namespace softsnp::attest::test {
namespace {

TEST(IdBlockFiles, TheSheetsVectors) {
  const psp::IdAuth auth = read_id_auth("a", raw(known_auth())).value();
  EXPECT_EQ(hex_text(key_digest(auth.id_key).bytes),
            "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a64"
            "4820773fe2");
  EXPECT_EQ(hex_text(key_digest(auth.author_key).bytes),
            "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7ffc3eb2b6af6a42"
            "84a1b36c5f");
  EXPECT_EQ(signature_problems(known_block(), auth), std::vector<std::string>{});
}

TEST(IdBlockFiles, ChangedBytesDoNotVerify) {
  psp::IdBlock block = known_block();
  block.guest_svn = 1;
  EXPECT_EQ(signature_problems(block, known_auth()).size(), 1u);
  psp::IdAuth auth = known_auth();
  auth.id_key_signature.s[0] ^= 1;
  EXPECT_EQ(signature_problems(known_block(), auth).size(), 1u);
  auth = known_auth();
  auth.id_key.qx[0] ^= 1;  // no point of the curve
  EXPECT_EQ(signature_problems(known_block(), auth).size(), 2u);
  auth = known_auth();
  auth.id_key.qx[0x40] = 1;
  EXPECT_EQ(signature_problems(known_block(), auth).size(), 2u);
}

TEST(IdBlockFiles, MalformedFiles) {
  const auto block_error = [](std::vector<u8> bytes) {
    const auto block = read_id_block("b", bytes);
    return block ? "read" : block.error();
  };
  EXPECT_EQ(block_error(std::vector<u8>(95)), "b: ID block: expected 96 bytes, got 95");
  EXPECT_EQ(block_error(std::vector<u8>(96)), "b: VERSION: expected 1, got 0");
  const auto with = [](usize at, u8 value) {
    std::vector<u8> bytes = raw(known_auth());
    bytes[at] = value;
    const auto auth = read_id_auth("a", bytes);
    return auth ? "read" : auth.error();
  };
  EXPECT_EQ(read_id_auth("a", std::vector<u8>(4097)).error(),
            "a: ID authentication information: expected 4096 bytes, got 4097");
  EXPECT_EQ(with(0, 2), "a: ID_KEY_ALGO: expected 1 (ECDSA P-384 with SHA-384), got 2");
  EXPECT_EQ(with(4, 0), "a: AUTH_KEY_ALGO: expected 1 (ECDSA P-384 with SHA-384), got 0");
  EXPECT_EQ(with(0x240, 1), "a: ID_KEY curve: expected 2 (P-384), got 1");
  EXPECT_EQ(with(0x880, 3), "a: AUTHOR_KEY curve: expected 2 (P-384), got 3");
  EXPECT_EQ(with(0x643, 1), "a: ID_KEY: expected zeros behind the coordinates");
  EXPECT_EQ(with(0x008, 1), "a: bytes 008 to 03F: expected zeros");
  EXPECT_EQ(with(0x644, 1), "a: bytes 644 to 67F: expected zeros");
  EXPECT_EQ(with(0xFFF, 1), "a: bytes C84 to FFF: expected zeros");
}

TEST(IdBlockFiles, HeldAgainstAReport) {
  const psp::IdBlock block = known_block();
  const psp::IdAuth auth = known_auth();
  psp::AttestationReport report{};
  report.measurement = block.launch_digest;
  report.policy = block.policy;
  report.signer_info = psp::signer_info::author_key_en;
  report.id_key_digest = key_digest(auth.id_key);
  report.author_key_digest = key_digest(auth.author_key);
  const auto detail = [&](const psp::AttestationReport& of) {
    Verdict verdict;
    check_id_block(verdict, of, block, auth);
    return verdict.holds() ? "holds" : verdict.checks.back().detail;
  };
  EXPECT_EQ(detail(report), "holds");
  psp::AttestationReport other = report;
  other.guest_svn = 1;
  other.image_id[0] = 1;
  EXPECT_EQ(detail(other), "IMAGE_ID differs; GUEST_SVN differs");
  other = report;
  other.author_key_digest.bytes[0] ^= 1;
  EXPECT_EQ(detail(other), "AUTHOR_KEY_DIGEST differs");
}

}  // namespace
}  // namespace softsnp::attest::test
