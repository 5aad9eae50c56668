#include "machine/cpu/exec/x87.hpp"
#include "tests/machine/cpu/exec/native_fx.hpp"

namespace softsnp::cpu::fx_test {

// Mostly numbers of moderate size, so that sums and products are ordinary; then every special kind.
u32 Values::single() {
  const u32 random = static_cast<u32>(bits());
  const u32 sign = random & 0x80000000;
  switch (below(16)) {
    case 0:
      return sign;  // zero
    case 1:
      return sign | 0x7F800000;  // infinity
    case 2:
      return sign | 0x7FC00000 | (random & 0x3FFFFF);  // quiet NaN
    case 3:
      return sign | 0x7F800001 | (random & 0x3FFFFE);  // signalling NaN
    case 4:
      return sign | (random & 0x7FFFFF);  // subnormal
    case 5:
      return sign | 0x00800000 | (random & 0x1FFFFFF);  // near the least
    case 6:
      return sign | 0x7E000000 | (random & 0x17FFFFF);  // near the greatest
    case 7:
      return sign | 0x4B000000 | (random & 0x7FFFFFF);  // near integer limits
    case 8:
      return sign | 0x3F800000 | (random & 1);
    case 9:
    case 10:
      return random;
    default:
      return sign | 0x3E000000 | (random & 0x3FFFFFF);
  }
}

u64 Values::real() {
  const u64 random = bits();
  const u64 sign = random & u64{1} << 63;
  switch (below(16)) {
    case 0:
      return sign;
    case 1:
      return sign | 0x7FF0000000000000;
    case 2:
      return sign | 0x7FF8000000000000 | (random & 0x7FFFFFFFFFFFF);
    case 3:
      return sign | 0x7FF0000000000001 | (random & 0x7FFFFFFFFFFFE);
    case 4:
      return sign | (random & 0xFFFFFFFFFFFFF);
    case 5:
      return sign | 0x0010000000000000 | (random & 0x3FFFFFFFFFFFFF);
    case 6:
      return sign | 0x7FC0000000000000 | (random & 0x2FFFFFFFFFFFFF);
    case 7:
      return sign | 0x41D0000000000000 | (random & 0x2FFFFFFFFFFFFFF);  // near integer limits
    case 8:
      return sign | 0x3FF0000000000000 | (random & 1);
    case 9:
    case 10:
      return random;
    case 11:  // near the limits of single precision
      return sign | (random & 1 ? 0x3800000000000000 : 0x47E0000000000000) |
             (random & 0x3FFFFFFFFFFFFF);
    default:
      return sign | 0x3FE0000000000000 | (random & 0x3FFFFFFFFFFFFF);
  }
}

void Values::extended(u8* to) {
  u64 significand = bits();
  const u16 sign = static_cast<u16>(bits() & 0x8000);
  u16 exponent;
  switch (below(14)) {
    case 0:
      exponent = 0;
      significand = 0;
      break;
    case 1:
      exponent = 0x7FFF;
      significand = u64{1} << 63;
      break;
    case 2:
      exponent = 0x7FFF;
      break;  // NaNs and the encodings no unit has made since the 387
    case 3:
      exponent = 0;
      break;  // subnormal, pseudo-subnormal
    case 4:
      exponent = static_cast<u16>(bits() & 0x7FFF);
      break;  // also unnormal
    case 5:
      exponent = static_cast<u16>(1 + below(80));
      significand |= u64{1} << 63;
      break;
    case 6:
      exponent = static_cast<u16>(0x7FFE - below(80));
      significand |= u64{1} << 63;
      break;
    case 7:
      exponent = static_cast<u16>(0x3FFF + below(70));
      significand |= u64{1} << 63;
      break;
    case 8:  // small integers
      exponent = static_cast<u16>(0x3FFF + below(6));
      significand = (significand | u64{1} << 63) & ~u64{0} << 58;
      break;
    case 9:  // limits of the narrower formats
      exponent = static_cast<u16>((one_in(2) ? 0x3FFF + 1023 : 0x3FFF - 1023) + below(60) - 30);
      significand |= u64{1} << 63;
      break;
    default:
      exponent = static_cast<u16>(0x3FFF - 8 + below(16));
      significand |= u64{1} << 63;
  }
  store_le<u64>(to, significand);
  store_le<u16>(to + 8, static_cast<u16>(exponent | sign));
}

Xmm Values::vector() {
  Xmm value;
  switch (below(4)) {
    case 0:
    case 1:
      for (u64& lane : value.lane) {
        lane = single() | u64{single()} << 32;
      }
      break;
    case 2:
      for (u64& lane : value.lane) {
        lane = real();
      }
      break;
    default:
      for (u64& lane : value.lane) {
        lane = one_in(3) ? bits() & 0x0F0F0000FF00FF80 : bits();
      }
  }
  return value;
}

u32 Values::mxcsr(bool unmasked) {
  u32 value = 0x1F80;
  if (!one_in(3)) {
    value = static_cast<u32>(bits()) & 0xE07F;  // rounding, FTZ, DAZ, flags
    value |= 0x1F80;
  }
  if (unmasked) {
    value &= ~(static_cast<u32>(bits()) & 0x1F80);
  }
  return one_in(16) ? value | 0x20000 : value;
}

Result Values::state(bool unmasked) {
  Result s;
  for (u64& gpr : s.gpr) {
    gpr = one_in(4) ? below(40) - 20 : one_in(3) ? bits() & 0xFFFFFFFF : bits();
  }
  s.rflags = bits() & x86::rflags::status;
  s.fx.fcw = static_cast<u16>(0x7F | (bits() & 0x1F00));
  s.fx.fsw = static_cast<u16>(bits() & 0x7F7F);
  if (one_in(2)) {
    s.fx.fcw = 0x37F;
    s.fx.fsw &= 0x4700;
  }
  if (unmasked) {
    s.fx.fcw = static_cast<u16>(s.fx.fcw & ~(bits() & 0x3F));
    // Mostly without an exception pending before the instruction.
    s.fx.fsw = static_cast<u16>(one_in(16) ? s.fx.fsw : s.fx.fsw & ~0x3F);
  }
  x87::update_summary(s.fx);
  s.fx.ftw = static_cast<u8>(one_in(3) ? bits() : 0xFF);
  s.fx.fop = static_cast<u16>(bits() & 0x7FF);
  s.fx.fip = bits() >> 17;
  s.fx.fdp = bits() >> 17;
  for (auto& st : s.fx.st) {
    extended(st);
  }
  for (Xmm& xmm : s.fx.xmm) {
    xmm = vector();
  }
  s.fx.mxcsr = mxcsr(unmasked);
  return s;
}

}  // namespace softsnp::cpu::fx_test
