// ID block and ID authentication information: the guest owner's word, signed, for what the firmware
// must find at launch. Firmware sheet 5.4.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "arch/psp/id_block.hpp"
#include "base/result.hpp"

namespace softsnp::attest {

// A private key on P-384.
class SigningKey {
 public:
  // PEM (PKCS #8 or SEC1), not encrypted. One line about what is wrong, with the name.
  static Result<SigningKey, std::string> from_pem(const std::string& name, std::span<const u8> pem);
  SigningKey(SigningKey&&) noexcept;
  ~SigningKey();

  psp::EcdsaPublicKey public_key() const;
  // ECDSA with SHA-384. Nothing if libcrypto refuses.
  std::optional<psp::EcdsaSignature> sign(std::span<const u8> message) const;

 private:
  struct Impl;
  explicit SigningKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct IdBlockFields {
  std::array<u8, 16> family_id{};
  std::array<u8, 16> image_id{};
  u32 guest_svn = 0;
  u64 policy = 0;
};

psp::IdBlock make_id_block(const psp::Digest& launch_digest, const IdBlockFields& fields);

// author_key: null for none.
std::optional<psp::IdAuth> sign_id_block(const psp::IdBlock& block, const SigningKey& id_key,
                                         const SigningKey* author_key);

}  // namespace softsnp::attest
