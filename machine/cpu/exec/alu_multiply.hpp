// Multiplication and division on values and flags; decimal adjustments. APM volume 3.
#pragma once

#include "machine/cpu/exec/alu.hpp"

namespace softsnp::cpu::alu {

using u128 = unsigned __int128;
using i128 = __int128;

template <class T>
struct Halves {
  T low, high;
};

template <class T>
struct Wider;
template <>
struct Wider<u8> {
  using Type = u16;
};
template <>
struct Wider<u16> {
  using Type = u32;
};
template <>
struct Wider<u32> {
  using Type = u64;
};
template <>
struct Wider<u64> {
  using Type = u128;
};
template <class T>
using Wide = typename Wider<T>::Type;
template <class T>
using Signed = std::make_signed_t<T>;

// CF = OF = the product does not fit; the others are undefined and keep their values.
constexpr void set_overflow(bool overflow, LazyFlags& flags) {
  flags.carries = (flags.carries & ~LazyFlags::top) | (overflow ? u64{1} << 63 : 0);
}

template <class T>
constexpr Halves<T> multiply(T a, T b, LazyFlags& flags) {
  const Wide<T> product = static_cast<Wide<T>>(static_cast<Wide<T>>(a) * b);
  const T high = static_cast<T>(product >> bits_of<T>);
  set_overflow(high != 0, flags);
  return {static_cast<T>(product), high};
}

template <class T>
constexpr T multiply_signed_low(T a, T b, LazyFlags& flags) {
  Signed<T> product{};
  const bool overflow =
      __builtin_mul_overflow(static_cast<Signed<T>>(a), static_cast<Signed<T>>(b), &product);
  set_overflow(overflow, flags);
  return static_cast<T>(product);
}

template <class T>
constexpr Halves<T> multiply_signed(T a, T b, LazyFlags& flags) {
  const i128 product =
      static_cast<i128>(static_cast<Signed<T>>(a)) * static_cast<i128>(static_cast<Signed<T>>(b));
  const T low = static_cast<T>(product);
  set_overflow(product != static_cast<Signed<T>>(low), flags);
  return {low, static_cast<T>(product >> bits_of<T>)};
}

template <class T>
struct Quotient {
  bool valid;  // false: #DE
  T quotient, remainder;
};

template <class T>
constexpr Quotient<T> divide(T high, T low, T divisor) {
  if (high >= divisor) {  // also divisor 0
    return {false, 0, 0};
  }
  if (high == 0) {
    return {true, static_cast<T>(low / divisor), static_cast<T>(low % divisor)};
  }
  const Wide<T> dividend = static_cast<Wide<T>>(static_cast<Wide<T>>(high) << bits_of<T> | low);
  return {true, static_cast<T>(dividend / divisor), static_cast<T>(dividend % divisor)};
}

template <class T>
constexpr Quotient<T> divide_signed(T high, T low, T divisor) {
  const bool negative = top_bit(high);
  const bool divisor_negative = top_bit(divisor);
  const T minus_low = static_cast<T>(0 - low);
  const T magnitude_low = negative ? minus_low : low;
  const T magnitude_high = negative ? static_cast<T>(~high + (low == 0 ? 1 : 0)) : high;
  const T magnitude = divisor_negative ? static_cast<T>(0 - divisor) : divisor;
  Quotient<T> q = divide(magnitude_high, magnitude_low, magnitude);
  const bool minus = negative != divisor_negative;
  const T limit = static_cast<T>((T{1} << (bits_of<T> - 1)) - (minus ? 0 : 1));
  if (!q.valid || q.quotient > limit) {
    return {false, 0, 0};
  }
  return {true, minus ? static_cast<T>(0 - q.quotient) : q.quotient,
          negative ? static_cast<T>(0 - q.remainder) : q.remainder};
}

// Decimal adjustments (legacy modes): AX in, AX out.
constexpr void set_decimal(u8 al, bool af, bool cf, LazyFlags& flags) {
  logic_result(al, flags);
  flags.carries = (af ? 8 : 0) | (cf ? LazyFlags::top : 0);
}
constexpr u16 with_al(u16 ax, u8 al) {
  return static_cast<u16>((ax & 0xFF00) | al);
}
constexpr u16 daa(u16 ax, LazyFlags& flags) {
  const u8 old = static_cast<u8>(ax);
  u8 al = old;
  const bool af = (old & 15) > 9 || flags.af();
  const bool cf = old > 0x99 || flags.cf();
  al = static_cast<u8>(al + (af ? 6 : 0) + (cf ? 0x60 : 0));
  set_decimal(al, af, cf, flags);
  return with_al(ax, al);
}
constexpr u16 das(u16 ax, LazyFlags& flags) {
  const u8 old = static_cast<u8>(ax);
  u8 al = old;
  const bool af = (old & 15) > 9 || flags.af();
  const bool high = old > 0x99 || flags.cf();
  al = static_cast<u8>(al - (af ? 6 : 0) - (high ? 0x60 : 0));
  set_decimal(al, af, high || (af && (flags.cf() || old < 6)), flags);
  return with_al(ax, al);
}
constexpr u16 aaa(u16 ax, LazyFlags& flags) {
  const bool adjust = (ax & 15) > 9 || flags.af();
  const u16 result = static_cast<u16>(ax + (adjust ? 0x106 : 0));
  set_decimal(static_cast<u8>(result), adjust, adjust, flags);
  return static_cast<u16>(result & 0xFF0F);
}
constexpr u16 aas(u16 ax, LazyFlags& flags) {
  const bool adjust = (ax & 15) > 9 || flags.af();
  const u16 result = static_cast<u16>(ax - (adjust ? 0x106 : 0));
  set_decimal(static_cast<u8>(result), adjust, adjust, flags);
  return static_cast<u16>(result & 0xFF0F);
}
constexpr u16 aad(u16 ax, u8 base, LazyFlags& flags) {
  const u8 al = static_cast<u8>((ax & 0xFF) + (ax >> 8) * base);
  set_decimal(al, false, false, flags);
  return al;
}
// base is not 0 (#DE).
constexpr u16 aam(u16 ax, u8 base, LazyFlags& flags) {
  const u8 al = static_cast<u8>(ax);
  const u8 rest = static_cast<u8>(al % base);
  set_decimal(rest, false, false, flags);
  return static_cast<u16>((al / base) << 8 | rest);
}

}  // namespace softsnp::cpu::alu
