// SHA-512 (FIPS 180-4). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::svsm {

class Sha512 {
 public:
  void add(const u8* bytes, usize size);
  // Once.
  void finish(u8 (&digest)[64]);

 private:
  static constexpr usize block_bytes = 128;
  void mix();

  u64 state_[8] = {
      0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
      0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
  };
  u8 block_[block_bytes]{};
  usize filled_ = 0;
  u64 total_ = 0;
};

}  // namespace softsnp::svsm
