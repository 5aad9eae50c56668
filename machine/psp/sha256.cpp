#include "machine/psp/sha256.hpp"

#include <openssl/evp.h>

#include <cstdlib>

#include "machine/psp/openssl_objects.hpp"

namespace softsnp::psp {

namespace {

// Only a libcrypto without SHA-256, or a lack of memory, can fail here.
void require(int good) {
  if (good != 1) {
    std::abort();
  }
}

DigestContext copy_of(const EVP_MD_CTX* other) {
  DigestContext context(EVP_MD_CTX_new());
  require(context ? 1 : 0);
  require(EVP_MD_CTX_copy_ex(context.get(), other));
  return context;
}

}  // namespace

struct Sha256Stream::Impl {
  DigestContext context{EVP_MD_CTX_new()};
};

Sha256Stream::Sha256Stream() : impl_(std::make_unique<Impl>()) {
  require(impl_->context ? 1 : 0);
  require(EVP_DigestInit_ex2(impl_->context.get(), EVP_sha256(), nullptr));
}
Sha256Stream::~Sha256Stream() = default;

Sha256Stream::Sha256Stream(const Sha256Stream& other) : impl_(std::make_unique<Impl>()) {
  impl_->context = copy_of(other.impl_->context.get());
}

Sha256Stream& Sha256Stream::operator=(const Sha256Stream& other) {
  impl_->context = copy_of(other.impl_->context.get());
  return *this;
}

void Sha256Stream::add(std::span<const u8> bytes) {
  if (!bytes.empty()) {
    require(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()));
  }
}

Sha256Digest Sha256Stream::digest() const {
  const DigestContext last = copy_of(impl_->context.get());
  Sha256Digest digest;
  require(EVP_DigestFinal_ex(last.get(), digest.data(), nullptr));
  return digest;
}

Sha256Digest sha256(std::span<const u8> bytes) {
  Sha256Stream stream;
  stream.add(bytes);
  return stream.digest();
}

}  // namespace softsnp::psp
