// AES-256-GCM with a 96-bit IV and a 128-bit tag. Firmware sheet 4.1, 1.6 (SNP_VLEK_LOAD).
#pragma once

#include <array>
#include <span>

#include "base/types.hpp"

namespace softsnp::psp {

using GcmTag = std::array<u8, 16>;

struct GcmParameters {
  std::span<const u8, 32> key;
  std::span<const u8, 12> iv;
  std::span<const u8> aad;
};

// Encrypts data in place.
GcmTag gcm_seal(const GcmParameters& parameters, std::span<u8> data);
// Decrypts data in place. False if the tag is not that of data and AAD; data is then zero.
bool gcm_open(const GcmParameters& parameters, std::span<u8> data, const GcmTag& tag);

}  // namespace softsnp::psp
