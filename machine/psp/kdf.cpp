#include "machine/psp/kdf.hpp"

#include <openssl/hmac.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/bytes.hpp"

namespace softsnp::psp {

namespace {

void hmac(const EVP_MD* algorithm, std::span<const u8> key, std::span<const u8> message, u8* to) {
  if (HMAC(algorithm, key.data(), static_cast<int>(key.size()), message.data(), message.size(), to,
           nullptr) == nullptr) {
    std::abort();  // no HMAC in this libcrypto: nothing here can work
  }
}

}  // namespace

Digest hmac_sha384(std::span<const u8> key, std::span<const u8> message) {
  Digest digest;
  hmac(EVP_sha384(), key, message, digest.bytes);
  return digest;
}

std::array<u8, 32> hmac_sha256(std::span<const u8> key, std::span<const u8> message) {
  std::array<u8, 32> digest;
  hmac(EVP_sha256(), key, message, digest.data());
  return digest;
}

void derive_key(std::span<const u8> key, std::string_view label, std::span<const u8> context,
                std::span<u8> to) {
  std::vector<u8> input(sizeof(u32));
  input.insert(input.end(), label.begin(), label.end());
  input.push_back(0);
  input.insert(input.end(), context.begin(), context.end());
  const usize bits_at = input.size();
  input.resize(bits_at + sizeof(u32));
  store_le(&input[bits_at], static_cast<u32>(to.size() * 8));
  for (u32 counter = 1; !to.empty(); ++counter) {
    store_le(input.data(), counter);
    const std::array<u8, 32> block = hmac_sha256(key, input);
    const usize count = std::min(to.size(), block.size());
    std::copy_n(block.begin(), count, to.begin());
    to = to.subspan(count);
  }
}

}  // namespace softsnp::psp
