#include "attest/sha.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdlib>

namespace softsnp::attest {
namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

struct Hasher::Impl {
  EVP_MD* algorithm;
  EVP_MD_CTX* context = EVP_MD_CTX_new();

  explicit Impl(const char* name) : algorithm(EVP_MD_fetch(nullptr, name, nullptr)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    EVP_MD_CTX_free(context);
    EVP_MD_free(algorithm);
  }
  bool start() { return EVP_DigestInit_ex2(context, algorithm, nullptr) == 1; }
};

Hasher::Hasher(const char* algorithm) : impl_(std::make_unique<Impl>(algorithm)) {
  require(impl_->algorithm != nullptr && impl_->context != nullptr && impl_->start());
}

Hasher::~Hasher() = default;

void Hasher::update(std::span<const u8> bytes) {
  if (!bytes.empty()) {
    require(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1);
  }
}

void Hasher::finish(u8* out) {
  require(EVP_DigestFinal_ex(impl_->context, out, nullptr) == 1 && impl_->start());
}

psp::Digest Sha384::operator()(std::span<const u8> bytes) {
  psp::Digest sum;
  hasher_.update(bytes);
  hasher_.finish(sum.bytes);
  return sum;
}

void start_libcrypto() {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

Sha256Sum sha256(std::span<const u8> bytes) {
  Sha256Sum sum{};
  Hasher hasher("SHA256");
  hasher.update(bytes);
  hasher.finish(sum.data());
  return sum;
}

}  // namespace softsnp::attest
