#include "machine/psp/sha384.hpp"

#include <openssl/evp.h>

#include <cstdlib>

namespace softsnp::psp {

struct Sha384::Impl {
  EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA384", nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() {
    EVP_MD_CTX_free(context);
    EVP_MD_free(algorithm);
  }
};

Sha384::Sha384() : impl_(std::make_unique<Impl>()) {
  if (impl_->algorithm == nullptr || impl_->context == nullptr ||
      EVP_DigestInit_ex2(impl_->context, impl_->algorithm, nullptr) != 1) {
    std::abort();  // no SHA-384 in this libcrypto: nothing here can work
  }
}

Sha384::~Sha384() = default;

Digest Sha384::operator()(std::span<const u8> a, std::span<const u8> b, std::span<const u8> c) {
  Digest digest;
  bool good = EVP_DigestInit_ex2(impl_->context, nullptr, nullptr) == 1;
  for (const std::span<const u8> part : {a, b, c}) {
    if (!part.empty()) {
      good = good && EVP_DigestUpdate(impl_->context, part.data(), part.size()) == 1;
    }
  }
  if (!good || EVP_DigestFinal_ex(impl_->context, digest.bytes, nullptr) != 1) {
    std::abort();
  }
  return digest;
}

}  // namespace softsnp::psp
