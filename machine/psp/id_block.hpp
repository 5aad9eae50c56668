// Checks of an ID block and its signatures at SNP_LAUNCH_FINISH. Firmware sheet 1.6, 5.4.
#pragma once

#include <span>

#include "arch/psp/id_block.hpp"
#include "arch/psp/status.hpp"
#include "machine/psp/sha384.hpp"

namespace softsnp::psp {

enum class SignatureHash : u8 { sha256, sha384 };

// ECDSA P-384 over message. False also for a curve other than P-384, a point that is not on the
// curve, numbers out of range.
bool verify_signature(const EcdsaPublicKey& key, const EcdsaSignature& signature,
                      std::span<const u8> message, SignatureHash hash = SignatureHash::sha384);

struct IdBlockCheck {
  Status status = Status::success;
  const char* detail = "";
};

// In the order of firmware sheet 1.6: digest, policy, algorithm, key and signature; then the
// author key's, if with_author_key.
IdBlockCheck check_id_block(const IdBlock& block, const IdAuth& auth, bool with_author_key,
                            const Digest& launch_digest, u64 policy);

Digest key_digest(Sha384& sha, const EcdsaPublicKey& key);

}  // namespace softsnp::psp
