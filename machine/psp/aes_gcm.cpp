#include "machine/psp/aes_gcm.hpp"

#include <algorithm>
#include <cstdlib>

#include "machine/psp/openssl_objects.hpp"

namespace softsnp::psp {

namespace {

// Everything but the tag. seal: encrypt, else decrypt.
CipherContext run(const GcmParameters& parameters, std::span<u8> data, bool seal) {
  CipherContext context(EVP_CIPHER_CTX_new());
  int length = 0;
  if (!context ||
      EVP_CipherInit_ex2(context.get(), EVP_aes_256_gcm(), parameters.key.data(),
                         parameters.iv.data(), seal ? 1 : 0, nullptr) != 1 ||
      EVP_CipherUpdate(context.get(), nullptr, &length, parameters.aad.data(),
                       static_cast<int>(parameters.aad.size())) != 1 ||
      EVP_CipherUpdate(context.get(), data.data(), &length, data.data(),
                       static_cast<int>(data.size())) != 1) {
    std::abort();  // no AES-256-GCM in this libcrypto: nothing here can work
  }
  return context;
}

}  // namespace

GcmTag gcm_seal(const GcmParameters& parameters, std::span<u8> data) {
  const CipherContext context = run(parameters, data, true);
  GcmTag tag;
  int length = 0;
  u8 nothing[16];  // GCM has no last block
  if (EVP_CipherFinal_ex(context.get(), nothing, &length) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag.size(), tag.data()) != 1) {
    std::abort();
  }
  return tag;
}

bool gcm_open(const GcmParameters& parameters, std::span<u8> data, const GcmTag& tag) {
  const CipherContext context = run(parameters, data, false);
  GcmTag expected = tag;
  int length = 0;
  u8 nothing[16];
  const bool good = EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, expected.size(),
                                        expected.data()) == 1 &&
                    EVP_CipherFinal_ex(context.get(), nothing, &length) == 1;
  if (!good) {
    std::fill(data.begin(), data.end(), u8{0});
  }
  return good;
}

}  // namespace softsnp::psp
