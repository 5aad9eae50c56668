// SHA-256, SHA-384 and SHA-512. FIPS 180-4. Freestanding.
#pragma once

#include "base/view.hpp"

namespace softsnp::crypto {

// The two functions that the three share: words of 32 or 64 bits.
template <class Word>
class Sha2 {
 public:
  static constexpr usize block_bytes = 16 * sizeof(Word);

  void update(ByteView data);

 protected:
  explicit Sha2(const u64 (&initial)[8]);
  // Pads and writes the first `bytes` of the state.
  void finish(u8* digest, usize bytes);

 private:
  void compress(const u8* block);

  Word state_[8];
  u64 length_ = 0;  // bytes so far
  u8 block_[block_bytes];
};

class Sha256 : private Sha2<u32> {
 public:
  static constexpr usize digest_bytes = 32;
  Sha256();
  using Sha2::update;
  void finish(u8* digest) { Sha2::finish(digest, digest_bytes); }
};

class Sha384 : private Sha2<u64> {
 public:
  static constexpr usize digest_bytes = 48;
  Sha384();
  using Sha2::update;
  void finish(u8* digest) { Sha2::finish(digest, digest_bytes); }
};

class Sha512 : private Sha2<u64> {
 public:
  static constexpr usize digest_bytes = 64;
  Sha512();
  using Sha2::update;
  void finish(u8* digest) { Sha2::finish(digest, digest_bytes); }
};

}  // namespace softsnp::crypto
