// AES-128 in counter mode: session keys and packets of legacy guests. Firmware sheet 7.3.
#pragma once

#include <array>
#include <span>

#include "base/types.hpp"

namespace softsnp::psp {

using Key128 = std::array<u8, 16>;

// Encrypts or decrypts data in place; iv is the first counter block.
void aes_ctr(const Key128& key, std::span<const u8, 16> iv, std::span<u8> data);

}  // namespace softsnp::psp
