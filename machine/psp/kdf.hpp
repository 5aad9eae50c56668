// HMAC and the key derivation of the secure processor. Firmware sheet 4.4, 7.3 (NIST SP 800-108,
// counter mode).
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "arch/psp/page_info.hpp"

namespace softsnp::psp {

Digest hmac_sha384(std::span<const u8> key, std::span<const u8> message);
std::array<u8, 32> hmac_sha256(std::span<const u8> key, std::span<const u8> message);

// Fills to with HMAC-SHA-256(key, u32 LE i | label | 00 | context | u32 LE output bits), i from 1.
void derive_key(std::span<const u8> key, std::string_view label, std::span<const u8> context,
                std::span<u8> to);

}  // namespace softsnp::psp
