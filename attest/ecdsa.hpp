// ECDSA on P-384 with SHA-384, in the firmware's little-endian layout. Firmware sheet 5.1, 5.4.
#pragma once

#include <span>

#include "arch/psp/id_block.hpp"

struct evp_pkey_st;  // libcrypto's EVP_PKEY

namespace softsnp::attest {

// False also for a key that is none: a point that is not on the curve.
bool verify_ecdsa(evp_pkey_st* key, std::span<const u8> message,
                  const psp::EcdsaSignature& signature);
bool verify_ecdsa(const psp::EcdsaPublicKey& key, std::span<const u8> message,
                  const psp::EcdsaSignature& signature);

}  // namespace softsnp::attest
