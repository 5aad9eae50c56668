// The six status flags, kept as the last result and its carries and computed when asked for.
// APM volume 1 3.1.4. Zero-cost to set: two or three operations an arithmetic instruction.
#pragma once

#include "arch/x86/registers.hpp"
#include "base/types.hpp"

namespace softsnp::cpu {

struct LazyFlags {
  // Sign-extended to 64 bits from the operand size: ZF, and SF, PF before the deltas below.
  u64 result = 1;
  // bit 63 carry out of the top bit, bit 62 carry into the top bit (OF = 63 ^ 62), bit 3 carry
  // out of bit 3 (AF), bit 0 SF delta, bits 15:8 PF delta (xor into the result's low byte).
  u64 carries = 0;

  static constexpr u64 top = u64{3} << 62;

  constexpr bool zf() const { return result == 0; }
  constexpr bool sf() const { return ((result >> 63) ^ (carries & 1)) != 0; }
  constexpr bool cf() const { return (carries >> 63) != 0; }
  constexpr bool of() const { return ((carries ^ (carries << 1)) >> 63) != 0; }
  constexpr bool af() const { return ((carries >> 3) & 1) != 0; }
  constexpr bool pf() const {
    return __builtin_parity(static_cast<unsigned>((result ^ (carries >> 8)) & 0xFF)) == 0;
  }

  // The status bits in RFLAGS positions.
  constexpr u64 pack() const {
    return (cf() ? x86::rflags::cf : 0) | (pf() ? x86::rflags::pf : 0) |
           (af() ? x86::rflags::af : 0) | (zf() ? x86::rflags::zf : 0) |
           (sf() ? x86::rflags::sf : 0) | (of() ? x86::rflags::of : 0);
  }
  // Any combination, also those no arithmetic produces (ZF with SF).
  constexpr void unpack(u64 rflags) {
    const bool carry = (rflags & x86::rflags::cf) != 0;
    const bool overflow = (rflags & x86::rflags::of) != 0;
    const bool zero = (rflags & x86::rflags::zf) != 0;
    const bool sign = (rflags & x86::rflags::sf) != 0;
    const bool parity = (rflags & x86::rflags::pf) != 0;
    result = zero ? 0 : 1;  // low byte parity: 0 -> PF 1, 1 -> PF 0
    carries = (carry ? u64{1} << 63 : 0) | (carry != overflow ? u64{1} << 62 : 0) |
              ((rflags & x86::rflags::af) != 0 ? 8 : 0) | (sign ? 1 : 0) |
              (parity == zero ? 0 : u64{1} << 8);
  }
  constexpr void set_cf(bool value) {
    const bool overflow = of();
    carries =
        (carries & ~top) | (value ? u64{1} << 63 : 0) | (value != overflow ? u64{1} << 62 : 0);
  }
  constexpr void set_of(bool value) {
    carries = (carries & ~(u64{1} << 62)) | (cf() != value ? u64{1} << 62 : 0);
  }
};

// carries field from a vector whose bit i is the carry (borrow) out of bit i, N operand bits.
template <unsigned N>
constexpr u64 pack_carries(u64 vector) {
  if constexpr (N == 64) {
    return vector & (LazyFlags::top | 8);
  } else {
    return ((vector << (64 - N)) & LazyFlags::top) | (vector & 8);
  }
}

}  // namespace softsnp::cpu
