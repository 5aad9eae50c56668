// The host's library as the judge.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/types.hpp"

namespace softsnp::crypto {

using Bytes = std::vector<u8>;

inline Bytes from_hex(const std::string& text) {
  Bytes out;
  for (usize i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<u8>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return out;
}

inline Bytes random_bytes(std::mt19937_64& random, usize size) {
  Bytes out(size);
  for (u8& byte : out) {
    byte = static_cast<u8>(random());
  }
  return out;
}

inline Bytes openssl_digest(const EVP_MD* kind, const Bytes& data) {
  Bytes out(static_cast<usize>(EVP_MD_get_size(kind)));
  EVP_Digest(data.data(), data.size(), out.data(), nullptr, kind, nullptr);
  return out;
}

// Ciphertext and the tag behind it.
inline Bytes openssl_gcm_seal(const Bytes& key, const Bytes& iv, const Bytes& aad,
                              const Bytes& text) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  Bytes out(text.size() + 16);
  int n = 0;
  EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), iv.data());
  EVP_EncryptUpdate(context.get(), nullptr, &n, aad.data(), static_cast<int>(aad.size()));
  EVP_EncryptUpdate(context.get(), out.data(), &n, text.data(), static_cast<int>(text.size()));
  EVP_EncryptFinal_ex(context.get(), out.data() + n, &n);
  EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, 16, out.data() + text.size());
  return out;
}

}  // namespace softsnp::crypto
