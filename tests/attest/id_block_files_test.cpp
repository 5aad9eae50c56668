// ID block and ID authentication information read back, and held against reports. The vectors are
// those of firmware sheet 5.4.
#include "attest/id_block_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "attest/text.hpp"
#include "attest/verify.hpp"
#include "tests/attest/known_report.hpp"

namespace softsnp::attest::test {
namespace {

void put_number(u8* to, const std::string& big_endian) {
  const std::vector<u8> bytes = from_hex(big_endian);
  std::copy(bytes.rbegin(), bytes.rend(), to);
}

psp::IdBlock known_block() {
  const std::vector<u8> bytes = from_hex(
      "a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc605"
      "9745" +
      std::string(64, '0') + "01000000000000000000030000000000");
  return read_id_block("b", bytes).value();
}

psp::IdAuth known_auth() {
  psp::IdAuth auth{};
  auth.id_key_algorithm = auth.author_key_algorithm = 1;
  auth.id_key.curve = auth.author_key.curve = 2;
  put_number(
      auth.id_key.qx,
      "f6763e4d2609cf1b2cf22f2cc8b8ca4cf55d470c3c23552c93b168874390dd95cb3fdee847ddf79ff29efb"
      "b8803c6d1f");
  put_number(
      auth.id_key.qy,
      "ccd7a8d047b9cdc1c750b1190abe6d1dad37a8decb14327b766619f712607cfd0d38853c50da9bcd080b35"
      "389c93be3e");
  put_number(
      auth.author_key.qx,
      "6270c78bd6904cd1336299a25b98736a71ce92fef07494d72cb28b073c830f9f564af7a5c1c6ffc5a34973"
      "d5da45868c");
  put_number(
      auth.author_key.qy,
      "863c7930a2c98448a77a10088102e2a95f9308cd3e56b559b7fd3acc88b3cc2a19774348fea2f2c9031191"
      "e07187acf5");
  put_number(auth.id_key_signature.r,
             "99ea62b40e1fa31a776676b94ca371a7ca0e02dd18dc34116529d4ec543d0c8199edf7c35548ff89865"
             "67f55947b88bb");
  put_number(
      auth.id_key_signature.s,
      "33916fafbfa2719334e0a3fe7d1b0104b1704ffbb98898e98cd1642f25ee0fbb7da719a2485f42352a1ba7"
      "5db9e861f2");
  put_number(
      auth.id_block_signature.r,
      "da38b7016f7b3a6147c0c81b6b8c5cef057dff71ae5e13f018f3049fc6c3a90959e0ca6a7c8f4ebd61e0f9"
      "9b7dbfd3e5");
  put_number(
      auth.id_block_signature.s,
      "d8a597d14427643bc36ae16df221e91a2b33ef8b54e56429e961aaa6af5e1f3cdd032b037c266dec8183de"
      "67ca4d19d4");
  return auth;
}

template <class T>
std::vector<u8> raw(const T& value) {
  const auto* const bytes = reinterpret_cast<const u8*>(&value);
  return {bytes, bytes + sizeof value};
}

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
