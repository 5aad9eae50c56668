// AES-256, encryption only, four blocks at once. FIPS 197. Bit-sliced: no table lookups and no
// branches that depend on key or data, because a hostile hypervisor sees a guest's cache lines; and
// no vector registers, which guest code may not touch. Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::crypto {

// Bit b of all 64 bytes of four blocks: bit 16 * block + byte of planes[b].
struct Slices {
  u64 planes[8];
};

class Aes256 {
 public:
  static constexpr usize key_bytes = 32, block_bytes = 16, blocks_at_once = 4;

  explicit Aes256(const u8* key);
  ~Aes256();
  Aes256(const Aes256&) = delete;
  Aes256& operator=(const Aes256&) = delete;

  // In place.
  void encrypt(u8 (&blocks)[blocks_at_once * block_bytes]) const;

 private:
  static constexpr unsigned rounds = 14;
  Slices round_keys_[rounds + 1];
};

}  // namespace softsnp::crypto
