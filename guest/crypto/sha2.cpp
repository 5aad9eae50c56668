#include "guest/crypto/sha2.hpp"

namespace softsnp::crypto {
namespace {

#include "guest/crypto/sha2_constants.inc"

// FIPS 180-4 4.1.2, 4.1.3: rotations, a shift in the last place of the small sigmas.
struct Amounts {
  unsigned big0[3], big1[3], small0[3], small1[3], rounds;
};
template <class Word>
constexpr Amounts amounts = {{2, 13, 22}, {6, 11, 25}, {7, 18, 3}, {17, 19, 10}, 64};
template <>
constexpr Amounts amounts<u64> = {{28, 34, 39}, {14, 18, 41}, {1, 8, 7}, {19, 61, 6}, 80};

template <class Word>
constexpr Word rotate(Word x, unsigned n) {
  return static_cast<Word>(x >> n | x << (8 * sizeof(Word) - n));
}
template <class Word>
constexpr Word big(Word x, const unsigned (&n)[3]) {
  return rotate(x, n[0]) ^ rotate(x, n[1]) ^ rotate(x, n[2]);
}
template <class Word>
constexpr Word small(Word x, const unsigned (&n)[3]) {
  return rotate(x, n[0]) ^ rotate(x, n[1]) ^ x >> n[2];
}
// Constants of 32 bits are the first halves of those of 64.
template <class Word>
constexpr Word leading(u64 constant) {
  return static_cast<Word>(constant >> (64 - 8 * sizeof(Word)));
}

template <class Word>
Word load_be(const u8* at) {
  Word value = 0;
  for (usize i = 0; i < sizeof(Word); ++i) {
    value = static_cast<Word>(value << 8 | at[i]);
  }
  return value;
}

}  // namespace

template <class Word>
Sha2<Word>::Sha2(const u64 (&initial)[8]) {
  for (unsigned i = 0; i < 8; ++i) {
    // SHA-384's initial state has 64-bit words alone.
    state_[i] = leading<Word>(initial[i]);
  }
}

template <class Word>
void Sha2<Word>::compress(const u8* block) {
  constexpr Amounts n = amounts<Word>;
  Word w[n.rounds];
  for (unsigned t = 0; t < n.rounds; ++t) {
    w[t] = t < 16 ? load_be<Word>(block + t * sizeof(Word))
                  : static_cast<Word>(small(w[t - 2], n.small1) + w[t - 7] +
                                      small(w[t - 15], n.small0) + w[t - 16]);
  }
  Word s[8];
  for (unsigned i = 0; i < 8; ++i) {
    s[i] = state_[i];
  }
  for (unsigned t = 0; t < n.rounds; ++t) {
    const Word chosen = (s[4] & s[5]) ^ (~s[4] & s[6]);
    const Word majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    const Word first =
        static_cast<Word>(s[7] + big(s[4], n.big1) + chosen + leading<Word>(cube_roots[t]) + w[t]);
    const Word second = static_cast<Word>(big(s[0], n.big0) + majority);
    for (unsigned i = 7; i > 0; --i) {
      s[i] = s[i - 1];
    }
    s[4] = static_cast<Word>(s[4] + first);
    s[0] = static_cast<Word>(first + second);
  }
  for (unsigned i = 0; i < 8; ++i) {
    state_[i] = static_cast<Word>(state_[i] + s[i]);
  }
}

template <class Word>
void Sha2<Word>::update(ByteView data) {
  for (const u8 byte : data) {
    block_[length_ % block_bytes] = byte;
    if (++length_ % block_bytes == 0) {
      compress(block_);
    }
  }
}

template <class Word>
void Sha2<Word>::finish(u8* digest, usize bytes) {
  const u64 bits = length_ * 8;
  const u8 mark = 0x80, zero = 0;
  update({&mark, 1});
  // The length has two words; ours fits in the last 8 bytes of them.
  while (length_ % block_bytes != block_bytes - 2 * sizeof(Word)) {
    update({&zero, 1});
  }
  for (usize i = 8; i < 2 * sizeof(Word); ++i) {
    update({&zero, 1});
  }
  u8 length[8];
  for (unsigned i = 0; i < 8; ++i) {
    length[i] = static_cast<u8>(bits >> (56 - 8 * i));
  }
  update(length);
  for (usize i = 0; i < bytes; ++i) {
    const usize from_top = sizeof(Word) - 1 - i % sizeof(Word);
    digest[i] = static_cast<u8>(state_[i / sizeof(Word)] >> (8 * from_top));
  }
}

template class Sha2<u32>;
template class Sha2<u64>;

Sha256::Sha256() : Sha2(square_roots) {}
Sha384::Sha384() : Sha2(later_square_roots) {}
Sha512::Sha512() : Sha2(square_roots) {}

}  // namespace softsnp::crypto
