// Bit fields of plain integers, by inclusive range as the manuals print them. Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp {

// Value with bits [high:low] set. Requires low <= high < 64.
constexpr u64 mask_bits(unsigned high, unsigned low) {
  return (~u64{0} >> (63 - high)) & (~u64{0} << low);
}

constexpr u64 bit(unsigned n) {
  return u64{1} << n;
}

constexpr bool has_bit(u64 value, unsigned n) {
  return ((value >> n) & 1) != 0;
}

// Field [high:low] of value, shifted down.
constexpr u64 get_bits(u64 value, unsigned high, unsigned low) {
  return (value & mask_bits(high, low)) >> low;
}

// value with field [high:low] replaced; excess bits of field are dropped.
constexpr u64 with_bits(u64 value, unsigned high, unsigned low, u64 field) {
  return (value & ~mask_bits(high, low)) | ((field << low) & mask_bits(high, low));
}

constexpr u64 align_down(u64 value, u64 alignment) {
  return value & ~(alignment - 1);
}
constexpr u64 align_up(u64 value, u64 alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}
constexpr bool is_aligned(u64 value, u64 alignment) {
  return (value & (alignment - 1)) == 0;
}

}  // namespace softsnp
