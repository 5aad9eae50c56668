// An ID block with both signatures, by published test keys. Firmware sheet 5.4.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "arch/psp/id_block.hpp"
#include "base/bytes.hpp"
#include "tests/attest/known_report.hpp"

namespace softsnp::attest::test {

inline void put_number(u8* to, const std::string& big_endian) {
  const std::vector<u8> bytes = from_hex(big_endian);
  std::copy(bytes.rbegin(), bytes.rend(), to);
}

inline psp::IdBlock known_block() {
  const std::vector<u8> bytes = from_hex(
      "a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc605"
      "9745" +
      std::string(64, '0') + "01000000000000000000030000000000");
  return load_le<psp::IdBlock>(bytes.data());
}

inline psp::IdAuth known_auth() {
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

}  // namespace softsnp::attest::test
