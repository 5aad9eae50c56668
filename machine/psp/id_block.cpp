#include "machine/psp/id_block.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <memory>

#include "base/bytes.hpp"
#include "machine/psp/openssl_objects.hpp"

namespace softsnp::psp {

namespace {

using SignatureObject = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

constexpr usize coordinate_bytes = 48;  // 384 bits

// 04 | X | Y, big-endian. False if a number does not fit.
bool encode_point(const EcdsaPublicKey& key, u8 (&point)[1 + 2 * coordinate_bytes]) {
  constexpr usize component = EcdsaPublicKey::component_bytes;
  const auto is_zero = [](u8 byte) { return byte == 0; };
  if (!std::all_of(key.qx + coordinate_bytes, key.qx + component, is_zero) ||
      !std::all_of(key.qy + coordinate_bytes, key.qy + component, is_zero)) {
    return false;
  }
  point[0] = POINT_CONVERSION_UNCOMPRESSED;
  std::reverse_copy(key.qx, key.qx + coordinate_bytes, point + 1);
  std::reverse_copy(key.qy, key.qy + coordinate_bytes, point + 1 + coordinate_bytes);
  return true;
}

Key load_key(const EcdsaPublicKey& key) {
  u8 point[1 + 2 * coordinate_bytes];
  if (key.curve != EcdsaPublicKey::curve_p384 || !encode_point(key, point)) {
    return nullptr;
  }
  char group[] = "P-384";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
      OSSL_PARAM_construct_end()};
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* loaded = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &loaded, EVP_PKEY_PUBLIC_KEY,
                        const_cast<OSSL_PARAM*>(parameters)) != 1) {
    return nullptr;
  }
  return Key(loaded);
}

// DER, as libcrypto wants it; empty on failure.
std::unique_ptr<u8[]> encode_signature(const EcdsaSignature& signature, usize& size) {
  BigNumber r(BN_lebin2bn(signature.r, sizeof signature.r, nullptr));
  BigNumber s(BN_lebin2bn(signature.s, sizeof signature.s, nullptr));
  const SignatureObject object(ECDSA_SIG_new());
  if (!r || !s || !object || ECDSA_SIG_set0(object.get(), r.get(), s.get()) != 1) {
    return nullptr;
  }
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  const int length = i2d_ECDSA_SIG(object.get(), nullptr);
  if (length <= 0) {
    return nullptr;
  }
  size = static_cast<usize>(length);
  auto der = std::make_unique<u8[]>(size);
  u8* end = der.get();
  i2d_ECDSA_SIG(object.get(), &end);
  return der;
}

template <class T>
std::span<const u8> as_bytes(const T& value) {
  return {reinterpret_cast<const u8*>(&value), sizeof value};
}

}  // namespace

bool verify_signature(const EcdsaPublicKey& key, const EcdsaSignature& signature,
                      std::span<const u8> message, SignatureHash hash) {
  const char* const hash_name = hash == SignatureHash::sha384 ? "SHA384" : "SHA256";
  const Key loaded = load_key(key);
  usize size = 0;
  const std::unique_ptr<u8[]> der = encode_signature(signature, size);
  const DigestContext context(EVP_MD_CTX_new());
  return loaded && der && context &&
         EVP_DigestVerifyInit_ex(context.get(), nullptr, hash_name, nullptr, nullptr, loaded.get(),
                                 nullptr) == 1 &&
         EVP_DigestVerify(context.get(), der.get(), size, message.data(), message.size()) == 1;
}

IdBlockCheck check_id_block(const IdBlock& block, const IdAuth& auth, bool with_author_key,
                            const Digest& launch_digest, u64 policy) {
  if (block.launch_digest != launch_digest) {
    return {Status::bad_measurement, "the launch digest is not that of the ID block"};
  }
  if (block.policy != policy) {
    return {Status::policy_failure, "the policy is not that of the ID block"};
  }
  if (auth.id_key_algorithm != IdAuth::algorithm_ecdsa_p384_sha384 ||
      (with_author_key && auth.author_key_algorithm != IdAuth::algorithm_ecdsa_p384_sha384)) {
    return {Status::invalid_param, "a signature algorithm other than ECDSA P-384 with SHA-384"};
  }
  if (!verify_signature(auth.id_key, auth.id_block_signature, as_bytes(block))) {
    return {Status::bad_signature, "the ID block's signature does not verify"};
  }
  if (with_author_key &&
      !verify_signature(auth.author_key, auth.id_key_signature, as_bytes(auth.id_key))) {
    return {Status::bad_signature, "the ID key's signature does not verify"};
  }
  return {};
}

Digest key_digest(Sha384& sha, const EcdsaPublicKey& key) {
  return sha(as_bytes(key));
}

}  // namespace softsnp::psp
