#include "attest/text.hpp"

#include <openssl/evp.h>

namespace softsnp::attest {
namespace {

std::optional<u8> digit(char letter) {
  constexpr std::string_view lower = "0123456789abcdef", upper = "0123456789ABCDEF";
  for (const std::string_view digits : {lower, upper}) {
    if (const auto at = digits.find(letter); at != std::string_view::npos) {
      return static_cast<u8>(at);
    }
  }
  return std::nullopt;
}

}  // namespace

std::string hex_text(std::span<const u8> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const u8 byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 0xF];
  }
  return text;
}

std::string base64_text(std::span<const u8> bytes) {
  std::vector<u8> text((bytes.size() + 2) / 3 * 4 + 1);
  const int length = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(bytes.size()));
  return {text.begin(), text.begin() + length};
}

std::optional<std::vector<u8>> parse_hex_bytes(std::string_view text, usize count) {
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
  }
  if (text.size() != 2 * count) {
    return std::nullopt;
  }
  std::vector<u8> bytes;
  for (usize i = 0; i < text.size(); i += 2) {
    const auto high = digit(text[i]);
    const auto low = digit(text[i + 1]);
    if (!high || !low) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<u8>(*high << 4 | *low));
  }
  return bytes;
}

}  // namespace softsnp::attest
