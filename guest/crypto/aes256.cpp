#include "guest/crypto/aes256.hpp"

#include "guest/crypto/wipe.hpp"

namespace softsnp::crypto {
namespace {

// GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, 64 products at once.
Slices reduce(u64 (&wide)[15]) {
  for (unsigned k = 14; k >= 8; --k) {
    wide[k - 4] ^= wide[k];
    wide[k - 5] ^= wide[k];
    wide[k - 7] ^= wide[k];
    wide[k - 8] ^= wide[k];
  }
  Slices out;
  for (unsigned i = 0; i < 8; ++i) {
    out.planes[i] = wide[i];
  }
  return out;
}

Slices multiply(const Slices& a, const Slices& b) {
  u64 wide[15] = {};
  for (unsigned i = 0; i < 8; ++i) {
    for (unsigned j = 0; j < 8; ++j) {
      wide[i + j] ^= a.planes[i] & b.planes[j];
    }
  }
  return reduce(wide);
}

Slices square(const Slices& a) {
  u64 wide[15] = {};
  for (unsigned i = 0; i < 8; ++i) {
    wide[2 * i] = a.planes[i];
  }
  return reduce(wide);
}

// The inverse is the 254th power, and 0 stays 0.
Slices invert(const Slices& a) {
  const Slices a2 = square(a);
  const Slices a3 = multiply(a2, a);
  const Slices a12 = square(square(a3));
  const Slices a15 = multiply(a12, a3);
  const Slices a240 = square(square(square(square(a15))));
  return multiply(multiply(a240, a12), a2);
}

// FIPS 197 5.1.1.
Slices substitute(const Slices& in) {
  constexpr u8 constant = 0x63;
  const Slices a = invert(in);
  Slices out;
  for (unsigned i = 0; i < 8; ++i) {
    out.planes[i] = a.planes[i] ^ a.planes[(i + 4) % 8] ^ a.planes[(i + 5) % 8] ^
                    a.planes[(i + 6) % 8] ^ a.planes[(i + 7) % 8] ^
                    ((constant >> i & 1) != 0 ? ~u64{0} : 0);
  }
  return out;
}

// Byte 4 * column + row of a block: row r moves r columns to the left.
Slices shift_rows(const Slices& in) {
  constexpr u64 every_block = 0x0001000100010001;
  Slices out;
  for (unsigned i = 0; i < 8; ++i) {
    const u64 plane = in.planes[i];
    u64 moved = plane & 0x1111 * every_block;
    for (unsigned row = 1; row < 4; ++row) {
      const u64 bits = plane & (u64{0x1111} << row) * every_block;
      const unsigned right = 4 * row, left = 16 - right;
      moved |= (bits >> right & (u64{0xFFFF} >> right) * every_block) |
               (bits << left & (u64{0xFFFF} << left & 0xFFFF) * every_block);
    }
    out.planes[i] = moved;
  }
  return out;
}

// Row r of each column gets what row r + n has.
u64 next_row(u64 plane) {
  return (plane >> 1 & 0x7777777777777777) | (plane << 3 & 0x8888888888888888);
}

Slices mix_columns(const Slices& in) {
  Slices next, sum, out;
  for (unsigned i = 0; i < 8; ++i) {
    next.planes[i] = next_row(in.planes[i]);
    sum.planes[i] = in.planes[i] ^ next.planes[i];
  }
  for (unsigned i = 0; i < 8; ++i) {
    const u64 carry = i == 0 || i == 1 || i == 3 || i == 4 ? sum.planes[7] : 0;
    const u64 doubled = (i == 0 ? 0 : sum.planes[i - 1]) ^ carry;
    out.planes[i] = doubled ^ next.planes[i] ^ next_row(next_row(sum.planes[i]));
  }
  return out;
}

void add(Slices& to, const Slices& key) {
  for (unsigned i = 0; i < 8; ++i) {
    to.planes[i] ^= key.planes[i];
  }
}

Slices slice(const u8* bytes, unsigned count) {
  Slices out{};
  for (unsigned i = 0; i < count; ++i) {
    for (unsigned b = 0; b < 8; ++b) {
      out.planes[b] |= static_cast<u64>(bytes[i] >> b & 1) << i;
    }
  }
  return out;
}

void unslice(const Slices& in, u8* bytes, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    unsigned byte = 0;
    for (unsigned b = 0; b < 8; ++b) {
      byte |= static_cast<unsigned>(in.planes[b] >> i & 1) << b;
    }
    bytes[i] = static_cast<u8>(byte);
  }
}

void substitute_word(u8* word) {
  unslice(substitute(slice(word, 4)), word, 4);
}

}  // namespace

// FIPS 197 5.2 with Nk = 8.
Aes256::Aes256(const u8* key) {
  constexpr unsigned key_words = 8, words = 4 * (rounds + 1);
  u8 schedule[4 * words];
  for (unsigned i = 0; i < key_bytes; ++i) {
    schedule[i] = key[i];
  }
  u8 round_constant = 1;
  for (unsigned i = key_words; i < words; ++i) {
    const u8* before = schedule + 4 * (i - 1);
    u8 word[4] = {before[0], before[1], before[2], before[3]};
    if (i % key_words == 0) {
      const u8 first = word[0];
      word[0] = word[1];
      word[1] = word[2];
      word[2] = word[3];
      word[3] = first;
      substitute_word(word);
      word[0] ^= round_constant;
      round_constant = static_cast<u8>(round_constant << 1);
    } else if (i % key_words == 4) {
      substitute_word(word);
    }
    for (unsigned b = 0; b < 4; ++b) {
      schedule[4 * i + b] = schedule[4 * (i - key_words) + b] ^ word[b];
    }
  }
  for (unsigned round = 0; round <= rounds; ++round) {
    Slices one = slice(schedule + 16 * round, 16);
    for (u64& plane : one.planes) {
      plane *= 0x0001000100010001;  // the same for each block
    }
    round_keys_[round] = one;
  }
  wipe(schedule, sizeof schedule);
}

Aes256::~Aes256() {
  wipe(round_keys_, sizeof round_keys_);
}

void Aes256::encrypt(u8 (&blocks)[blocks_at_once * block_bytes]) const {
  Slices state = slice(blocks, sizeof blocks);
  add(state, round_keys_[0]);
  for (unsigned round = 1; round < rounds; ++round) {
    state = mix_columns(shift_rows(substitute(state)));
    add(state, round_keys_[round]);
  }
  state = shift_rows(substitute(state));
  add(state, round_keys_[rounds]);
  unslice(state, blocks, sizeof blocks);
}

}  // namespace softsnp::crypto
