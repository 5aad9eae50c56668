// Whether an arithmetic result is exact when its exponent is unbounded: integer arithmetic on
// significands. Needed only where an unmasked overflow or underflow is reported.
#pragma once

#include "machine/cpu/exec/host_fp.hpp"

namespace softsnp::cpu {

template <class Bits>
constexpr bool is_subnormal(Bits value) {
  constexpr unsigned fraction_bits = sizeof(Bits) == 4 ? 23 : 52;
  const Bits magnitude = value & static_cast<Bits>(~Bits{0} >> 1);
  return magnitude != 0 && magnitude >> fraction_bits == 0;
}

// A finite number: significand times a power of two.
struct Scaled {
  u64 significand;
  int exponent;
};

template <class Bits>
constexpr Scaled scaled(Bits value, bool denormals_are_zero) {
  constexpr unsigned fraction_bits = sizeof(Bits) == 4 ? 23 : 52;
  const Bits magnitude = value & static_cast<Bits>(~Bits{0} >> 1);
  const auto exponent = static_cast<int>(magnitude >> fraction_bits);
  const u64 fraction = magnitude & ((Bits{1} << fraction_bits) - 1);
  if (exponent == 0) {
    return {denormals_are_zero ? 0 : fraction, 1};
  }
  return {fraction | u64{1} << fraction_bits, exponent};
}

// The operands are of the result's format, or double for narrowing; neither is infinite or NaN.
// large: the result is too large, else it is too small.
bool inexact(host::Range range, u64 left, u64 right, bool denormals_are_zero, bool large);

}  // namespace softsnp::cpu
