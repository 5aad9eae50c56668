// The report of a real Milan. Firmware sheet 5.5.
#pragma once

#include <string>
#include <vector>

#include "attest/text.hpp"

namespace softsnp::attest::test {

inline std::vector<u8> from_hex(const std::string& text) {
  return parse_hex_bytes(text, text.size() / 2).value();
}

inline std::string fmt_offset(usize at) {
  const u8 bytes[] = {static_cast<u8>(at >> 8), static_cast<u8>(at)};
  std::string text = hex_text(bytes).substr(1);
  for (char& letter : text) {
    letter = static_cast<char>(letter >= 'a' ? letter - 32 : letter);
  }
  return "byte " + text + ":";
}

inline std::vector<u8> known_report() {
  std::vector<u8> report(0x4A0);
  const auto put = [&report](usize at, const std::string& hex) {
    const std::vector<u8> bytes = from_hex(hex);
    std::copy(bytes.begin(), bytes.end(), report.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(0x000, "02000000");
  put(0x008, "0000030000000000");
  put(0x034, "01000000");
  for (const usize at : {0x038u, 0x180u, 0x1E0u, 0x1F0u}) {
    put(at, "0300000000000873");
  }
  put(0x040, "0100000000000000");
  put(0x050,
      "d447b55d197491bfe15cf298f9de9986b7a7c4be2468b4f6e2d53b71d7c645810b0f2cdfca0040433be063fc1a82"
      "93f0f3f8dae7b79fecb3d1cd82bd6a93ebfd");
  put(0x090,
      "7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480cd81"
      "841f");
  put(0x140, "92b3b47d59f0a2a10a74c5678868a80238cf593c01a82f3cffb878e904c28d5b");
  put(0x160, std::string(64, 'f'));
  put(0x1A0,
      "d49554ec717f4e5b0fe6b143bcf0405bd7ae304727edf46603f2a76aef6a3abc15d7af38db757039029f0efacfd0"
      "8e244324884738c72b082e2f87a44d541eb6");
  put(0x1E8, "0434010004340100");
  put(0x2A0,
      "61ab4f11aa661997625f233df42a4ad54440eeb7a96ea63de170cbc29c37c005cb54054881ec7d2bee569b02d07f"
      "8272");
  put(0x2E8,
      "209d7eb9be919a1d0baf1d57fe6ebfeabbc53b778c6e977e40b15ca931bb6d44c5ab9e30cfdc7346cb41ac083b90"
      "bf49");
  return report;
}

// The public key that signed it, big-endian.
inline const std::string known_qx =
    "a17accd80b1edeb0d39f30aa5c08b14c7070051d293fce99a0de55e662a7c276857aa34067cd9ecf521c90489c0d4"
    "075";
inline const std::string known_qy =
    "d56e61ccda2be696efb1b9d4e9d15dd2fea32b0248409acc91481722402d31a2373ce1b0465098070f4f63cc7620a"
    "3e9";

}  // namespace softsnp::attest::test
