#include "platform/root_keys.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

namespace softsnp::platform {

namespace {

constexpr usize modulus_bits = 4096;

// Without it libcrypto asks at the terminal when a key is encrypted.
int no_password(char*, int, int, void*) {
  return -1;
}

bool is_usable(const EVP_PKEY& key) {
  if (EVP_PKEY_is_a(&key, "RSA") != 1 || EVP_PKEY_get_bits(&key) != int{modulus_bits}) {
    return false;
  }
  BIGNUM* exponent = nullptr;
  const bool is_private = EVP_PKEY_get_bn_param(&key, "d", &exponent) == 1;
  BN_clear_free(exponent);
  return is_private;
}

}  // namespace

RootKeys generate_root_keys() {
  const auto generate = [] { return Key(required(EVP_RSA_gen(modulus_bits))); };
  RootKeys keys;
  keys.ark = generate();
  keys.ask = generate();
  keys.asvk = generate();
  return keys;
}

std::string key_to_pem(EVP_PKEY& key) {
  const Bio memory(required(BIO_new(BIO_s_secmem())));
  require(PEM_write_bio_PKCS8PrivateKey(memory.get(), &key, nullptr, nullptr, 0, nullptr,
                                        nullptr) == 1);
  char* text = nullptr;
  const long length = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<usize>(length)};
}

Key key_from_pem(std::string_view pem) {
  const Bio memory(required(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))));
  Key key(PEM_read_bio_PrivateKey(memory.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return key && is_usable(*key) ? std::move(key) : nullptr;
}

bool same_key(const EVP_PKEY& a, const EVP_PKEY& b) {
  return EVP_PKEY_eq(&a, &b) == 1;
}

}  // namespace softsnp::platform
