// T(sPA) of the encryption engine: the xor of one 16-byte constant per set address bit from bit 4
// up (hardware sheet 2.3), so the part of the page and the part inside the page just add up.
#pragma once

#include <array>

#include "arch/address.hpp"
#include "base/bytes.hpp"

namespace softsnp::memory {

struct Block {
  u64 low = 0;
  u64 high = 0;
  friend constexpr Block operator^(Block a, Block b) { return {a.low ^ b.low, a.high ^ b.high}; }
};

class Tweak {
 public:
  static constexpr unsigned lowest_bit = 4;
  static constexpr unsigned bit_count = 52 - lowest_bit;
  static constexpr usize blocks_a_page = page_size / sizeof(Block);

  // constants: one per address bit, lowest_bit first.
  explicit Tweak(const std::array<Block, bit_count>& constants) : constants_(constants) {
    for (usize i = 0; i < blocks_a_page; ++i) {
      in_page_[i] = sum(i * sizeof(Block));
    }
  }
  // data[i] ^= T(at + 16 i) for count blocks inside one page.
  void apply(SystemPhysical at, u8* data, u64 count) const {
    const Block of_page = sum(at.page().value());
    const Block* of_offset = in_page_.data() + at.page_offset() / sizeof(Block);
    for (u64 i = 0; i < count; ++i) {
      u8* block = data + i * sizeof(Block);
      store_le(block, load_le<Block>(block) ^ of_page ^ of_offset[i]);
    }
  }

 private:
  Block sum(u64 address) const {
    Block total;
    for (u64 left = (address >> lowest_bit) & mask_bits(bit_count - 1, 0); left != 0;
         left &= left - 1) {
      total = total ^ constants_[static_cast<usize>(__builtin_ctzll(left))];
    }
    return total;
  }
  std::array<Block, bit_count> constants_;
  std::array<Block, blocks_a_page> in_page_;
};

}  // namespace softsnp::memory
