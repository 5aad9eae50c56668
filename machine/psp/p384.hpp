// ECDSA over P-384 with SHA-384, deterministic: the nonce comes from key and message (RFC 6979).
// libcrypto 3.0 only signs with random nonces, so the few steps of ECDSA stand here, on its big
// numbers and points.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "arch/psp/id_block.hpp"

namespace softsnp::psp {

using P384Scalar = std::array<u8, 48>;  // big-endian, in [1, order - 1]

class P384 {
 public:
  P384();
  ~P384();
  P384(const P384&) = delete;
  P384& operator=(const P384&) = delete;

  // A private key from uniformly random bytes, more than 48 so that no value is favoured
  // (FIPS 186-5, A.2.1).
  P384Scalar reduce(std::span<const u8> random) const;
  EcdsaPublicKey public_key(const P384Scalar& private_key) const;
  // digest: SHA-384 of the message; a shorter hash behind zeros.
  EcdsaSignature sign(const P384Scalar& private_key, const Digest& digest) const;
  bool on_curve(const EcdsaPublicKey& key) const;
  // ECDH: the x coordinate of private_key times peer, big-endian. Requires on_curve(peer).
  std::array<u8, 48> shared_x(const P384Scalar& private_key, const EcdsaPublicKey& peer) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace softsnp::psp
