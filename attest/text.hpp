// Digests as people write them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"

namespace softsnp::attest {

std::string hex_text(std::span<const u8> bytes);  // lower case
std::string base64_text(std::span<const u8> bytes);
// Exactly count bytes as hexadecimal digits, with or without 0x.
std::optional<std::vector<u8>> parse_hex_bytes(std::string_view text, usize count);

}  // namespace softsnp::attest
