#include "machine/psp/aes_ctr.hpp"

#include <cstdlib>

#include "machine/psp/openssl_objects.hpp"

namespace softsnp::psp {

void aes_ctr(const Key128& key, std::span<const u8, 16> iv, std::span<u8> data) {
  const CipherContext context(EVP_CIPHER_CTX_new());
  int written = 0;
  const bool good =
      context &&
      EVP_EncryptInit_ex2(context.get(), EVP_aes_128_ctr(), key.data(), iv.data(), nullptr) == 1 &&
      EVP_EncryptUpdate(context.get(), data.data(), &written, data.data(),
                        static_cast<int>(data.size())) == 1;
  if (!good) {
    std::abort();  // no AES in this libcrypto: nothing here can work
  }
}

}  // namespace softsnp::psp
