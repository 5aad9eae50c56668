#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <memory>

#include "base/bytes.hpp"
#include "machine/memory/dram/dram.hpp"
#include "machine/memory/dram/invariant.hpp"
#include "machine/memory/dram/resident_pages.hpp"
#include "machine/memory/dram/zero.hpp"

namespace softsnp::memory {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    check(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
  }
  void add(const void* data, usize bytes) { check(EVP_DigestUpdate(context_.get(), data, bytes)); }
  std::vector<u8> finish() {
    std::vector<u8> digest(32);
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr));
    return digest;
  }

 private:
  static void check(int ok) {
    if (ok != 1) {
      broken_invariant("OpenSSL SHA-256 failed", 0);
    }
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

// Hashes (size of DRAM, then page number and raw bytes of each frame whose raw bytes are not all
// zero): touched and untouched zeros are the same to the bus.
std::vector<u8> Dram::digest() {
  Sha256 hash;
  hash.add(&size_, sizeof size_);
  ResidentPages resident(base_);
  std::array<u8, page_size> raw;
  for (u64 number = 0; number < size_ / page_size; ++number) {
    const KeyId held = forms_[number];
    if (held == KeyId::none && !resident.maybe_touched(number)) {
      continue;
    }
    const SystemPhysical page(number << page_shift);
    std::memcpy(raw.data(), base_ + page.value(), page_size);
    if (held != KeyId::none) {
      keys_.encrypt_frame(held, page, raw.data());
    }
    if (!all_zero(raw.data(), page_size)) {
      hash.add(&number, sizeof number);
      hash.add(raw.data(), page_size);
    }
  }
  return hash.finish();
}

}  // namespace softsnp::memory
