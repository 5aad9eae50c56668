// AES-256-GCM with 96-bit IVs and 128-bit tags, in constant time. NIST SP 800-38D. Freestanding.
#pragma once

#include "base/view.hpp"
#include "guest/crypto/aes256.hpp"

namespace softsnp::crypto {

class AesGcm {
 public:
  static constexpr usize key_bytes = Aes256::key_bytes, iv_bytes = 12, tag_bytes = 16;

  explicit AesGcm(const u8* key);
  ~AesGcm();

  // Encrypts data in place.
  void seal(const u8* iv, ByteView authenticated, View<u8> data, u8* tag) const;
  // Decrypts data in place if the tag is right; leaves it alone otherwise.
  [[nodiscard]] bool open(const u8* iv, ByteView authenticated, View<u8> data, const u8* tag) const;

 private:
  struct Block {
    u64 high = 0, low = 0;  // as a big-endian number
  };
  Block multiply_by_key(const Block& x) const;
  void hash(Block& state, ByteView data) const;
  void encrypt_counters(const u8* iv, View<u8> data) const;
  void make_tag(const u8* iv, ByteView authenticated, ByteView ciphertext, u8* tag) const;

  Aes256 cipher_;
  Block hash_key_;
};

}  // namespace softsnp::crypto
