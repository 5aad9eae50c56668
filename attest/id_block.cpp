#include "attest/id_block.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "attest/openssl.hpp"

namespace softsnp::attest {
namespace {

constexpr int number_bytes = 48;  // 384 bits

// A password would be asked for at the terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

bool is_p384(EVP_PKEY* key) {
  char group[32] = {};
  return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                        nullptr) == 1 &&
         std::string_view(group) == "secp384r1";
}

bool store_coordinate(EVP_PKEY* key, const char* name, u8* out) {
  BIGNUM* value = nullptr;
  const bool found = EVP_PKEY_get_bn_param(key, name, &value) == 1;
  const NumberHandle owner(value);
  return found && BN_bn2lebinpad(value, out, number_bytes) == number_bytes;
}

std::optional<std::vector<u8>> sign_der(EVP_PKEY* key, std::span<const u8> message) {
  const DigestHandle context(EVP_MD_CTX_new());
  usize size = 0;
  if (!context ||
      EVP_DigestSignInit_ex(context.get(), nullptr, "SHA384", nullptr, nullptr, key, nullptr) !=
          1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1) {
    return std::nullopt;
  }
  std::vector<u8> der(size);
  if (EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) != 1) {
    return std::nullopt;
  }
  der.resize(size);
  return der;
}

template <class T>
std::span<const u8> as_bytes(const T& value) {
  return {reinterpret_cast<const u8*>(&value), sizeof value};
}

}  // namespace

struct SigningKey::Impl {
  KeyHandle key;
  psp::EcdsaPublicKey public_key{};
};

SigningKey::SigningKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey, std::string> SigningKey::from_pem(const std::string& name,
                                                     std::span<const u8> pem) {
  const MemoryHandle memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  auto impl = std::make_unique<Impl>();
  if (memory) {
    impl->key.reset(PEM_read_bio_PrivateKey(memory.get(), nullptr, no_password, nullptr));
  }
  ERR_clear_error();
  if (!impl->key) {
    return Failure{name + ": private key: expected PEM without a password"};
  }
  EVP_PKEY* const key = impl->key.get();
  if (EVP_PKEY_is_a(key, "EC") != 1 || !is_p384(key)) {
    return Failure{name + ": private key: expected elliptic curve P-384 (secp384r1)"};
  }
  impl->public_key.curve = psp::EcdsaPublicKey::curve_p384;
  if (!store_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, impl->public_key.qx) ||
      !store_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, impl->public_key.qy)) {
    return Failure{name + ": private key: has no public part"};
  }
  return SigningKey(std::move(impl));
}

psp::EcdsaPublicKey SigningKey::public_key() const {
  return impl_->public_key;
}

std::optional<psp::EcdsaSignature> SigningKey::sign(std::span<const u8> message) const {
  const auto der = sign_der(impl_->key.get(), message);
  if (!der) {
    return std::nullopt;
  }
  const u8* at = der->data();
  const EcdsaHandle pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der->size())));
  psp::EcdsaSignature signature{};
  if (!pair ||
      BN_bn2lebinpad(ECDSA_SIG_get0_r(pair.get()), signature.r, number_bytes) != number_bytes ||
      BN_bn2lebinpad(ECDSA_SIG_get0_s(pair.get()), signature.s, number_bytes) != number_bytes) {
    return std::nullopt;
  }
  return signature;
}

psp::IdBlock make_id_block(const psp::Digest& launch_digest, const IdBlockFields& fields) {
  psp::IdBlock block{};
  block.launch_digest = launch_digest;
  std::copy(fields.family_id.begin(), fields.family_id.end(), block.family_id);
  std::copy(fields.image_id.begin(), fields.image_id.end(), block.image_id);
  block.version = 1;
  block.guest_svn = fields.guest_svn;
  block.policy = fields.policy;
  return block;
}

std::optional<psp::IdAuth> sign_id_block(const psp::IdBlock& block, const SigningKey& id_key,
                                         const SigningKey* author_key) {
  psp::IdAuth auth{};
  auth.id_key_algorithm = psp::IdAuth::algorithm_ecdsa_p384_sha384;
  auth.id_key = id_key.public_key();
  const auto block_signature = id_key.sign(as_bytes(block));
  if (!block_signature) {
    return std::nullopt;
  }
  auth.id_block_signature = *block_signature;
  if (author_key == nullptr) {
    return auth;
  }
  auth.author_key_algorithm = psp::IdAuth::algorithm_ecdsa_p384_sha384;
  auth.author_key = author_key->public_key();
  const auto key_signature = author_key->sign(as_bytes(auth.id_key));
  if (!key_signature) {
    return std::nullopt;
  }
  auth.id_key_signature = *key_signature;
  return auth;
}

}  // namespace softsnp::attest
