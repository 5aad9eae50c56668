#include "attest/ecdsa.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include <algorithm>
#include <vector>

#include "attest/openssl.hpp"

namespace softsnp::attest {
namespace {

using ContextHandle = OpensslHandle<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

constexpr usize coordinate_bytes = 48;

// The DER that libcrypto takes. Empty if it cannot.
std::vector<u8> signature_der(const psp::EcdsaSignature& signature) {
  const EcdsaHandle pair(ECDSA_SIG_new());
  NumberHandle r(BN_lebin2bn(signature.r, sizeof signature.r, nullptr));
  NumberHandle s(BN_lebin2bn(signature.s, sizeof signature.s, nullptr));
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) {
    return {};
  }
  static_cast<void>(r.release());  // the pair's from here on
  static_cast<void>(s.release());
  constexpr usize overhead = 16;
  std::vector<u8> der(sizeof signature.r + sizeof signature.s + overhead);
  u8* at = der.data();
  const int length = i2d_ECDSA_SIG(pair.get(), &at);
  der.resize(static_cast<usize>(std::max(length, 0)));
  return der;
}

// Null if the point is not on the curve.
KeyHandle make_key(const psp::EcdsaPublicKey& key) {
  std::vector<u8> point{4};  // uncompressed; big-endian
  for (const u8* const coordinate : {key.qx, key.qy}) {
    point.insert(point.end(), std::reverse_iterator(coordinate + coordinate_bytes),
                 std::reverse_iterator(coordinate));
  }
  char group[] = "P-384";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
      OSSL_PARAM_construct_end()};
  const ContextHandle context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* made = nullptr;
  if (context && EVP_PKEY_fromdata_init(context.get()) == 1) {
    EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY,
                      const_cast<OSSL_PARAM*>(parameters));
  }
  return KeyHandle(made);
}

}  // namespace

bool verify_ecdsa(EVP_PKEY* key, std::span<const u8> message,
                  const psp::EcdsaSignature& signature) {
  const std::vector<u8> der = signature_der(signature);
  const DigestHandle context(EVP_MD_CTX_new());
  const bool good =
      key != nullptr && !der.empty() && context &&
      EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA384", nullptr, nullptr, key, nullptr) ==
          1 &&
      EVP_DigestVerify(context.get(), der.data(), der.size(), message.data(), message.size()) == 1;
  ERR_clear_error();
  return good;
}

bool verify_ecdsa(const psp::EcdsaPublicKey& key, std::span<const u8> message,
                  const psp::EcdsaSignature& signature) {
  const auto is_long = [](const u8* coordinate) {
    return std::any_of(coordinate + coordinate_bytes,
                       coordinate + psp::EcdsaPublicKey::component_bytes,
                       [](u8 byte) { return byte != 0; });
  };
  const KeyHandle handle = is_long(key.qx) || is_long(key.qy) ? KeyHandle() : make_key(key);
  return verify_ecdsa(handle.get(), message, signature);
}

}  // namespace softsnp::attest
