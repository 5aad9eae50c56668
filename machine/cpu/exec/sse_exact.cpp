#include "machine/cpu/exec/sse_exact.hpp"

namespace softsnp::cpu {
namespace {

using Wide = unsigned __int128;

unsigned trailing_zeros(u64 value) {
  return static_cast<unsigned>(__builtin_ctzll(value));
}

unsigned significant_bits(Wide value) {
  if (value == 0) {
    return 0;
  }
  const u64 high = static_cast<u64>(value >> 64), low = static_cast<u64>(value);
  const unsigned top = high != 0 ? 128 - static_cast<unsigned>(__builtin_clzll(high))
                                 : 64 - static_cast<unsigned>(__builtin_clzll(low));
  return top - (low != 0 ? trailing_zeros(low) : 64 + trailing_zeros(high));
}

// Overflow means that the magnitudes add; a tiny sum is exact anyway.
bool sum_inexact(Scaled a, Scaled b, unsigned precision) {
  if (a.significand == 0 || b.significand == 0) {
    return false;
  }
  const Scaled& big = a.exponent >= b.exponent ? a : b;
  const Scaled& small = a.exponent >= b.exponent ? b : a;
  const auto distance = static_cast<unsigned>(big.exponent - small.exponent);
  if (distance > 70) {
    return true;
  }
  return significant_bits((Wide{big.significand} << distance) + small.significand) > precision;
}

bool quotient_inexact(u64 a, u64 b) {
  return a != 0 && b != 0 && (a >> trailing_zeros(a)) % (b >> trailing_zeros(b)) != 0;
}

}  // namespace

bool inexact(host::Range range, u64 left, u64 right, bool denormals_are_zero, bool large) {
  using host::Arithmetic;
  const bool wide = range.bits == 64 || range.arithmetic == Arithmetic::narrowing;
  const unsigned precision = range.bits == 32 ? 24 : 53;
  const auto number = [&](u64 bits) {
    return wide ? scaled<u64>(bits, denormals_are_zero)
                : scaled<u32>(static_cast<u32>(bits), denormals_are_zero);
  };
  const Scaled a = number(left), b = number(right);
  switch (range.arithmetic) {
    case Arithmetic::sum:
    case Arithmetic::horizontal_sum:
      return large && sum_inexact(a, b, precision);
    case Arithmetic::product:
      return significant_bits(Wide{a.significand} * b.significand) > precision;
    case Arithmetic::quotient:
      return quotient_inexact(a.significand, b.significand);
    case Arithmetic::narrowing:
      return significant_bits(a.significand) > precision;
    case Arithmetic::none:
      break;
  }
  return false;
}

}  // namespace softsnp::cpu
