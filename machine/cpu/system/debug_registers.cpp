// MOV DRn. APM2 13.1, 15.8.1.
#include "machine/cpu/system/handlers.hpp"

namespace softsnp::cpu {
namespace {

constexpr u64 dr7_gd = bit(13);
constexpr u64 dr6_bd = bit(13);
constexpr u64 dr6_fixed = 0xFFFF0FF0;
constexpr u64 dr6_writable = mask_bits(3, 0) | mask_bits(15, 13);
constexpr u64 dr7_fixed = bit(10);
constexpr u64 dr7_zero = bit(11) | bit(12) | bit(14) | bit(15);

// Common checks; true if the move may be made. dr: 4 and 5 become 6 and 7.
bool allowed(System& system, u8& dr, svm::ExitCode base, u8 gpr, Step& out) {
  CoreState& s = system.state();
  const u8 encoded = dr;
  if (encoded == 4 || encoded == 5) {
    dr = static_cast<u8>(encoded + 2);
  }
  if (encoded > 7 || (dr != encoded && (s.cr4 & x86::cr4::de) != 0)) {
    out = system.raise_ud();
  } else if (s.cpl != 0) {
    out = system.raise_gp();
  } else if ((s.dr7 & dr7_gd) != 0) {
    s.dr6 |= dr6_bd;
    s.dr7 &= ~dr7_gd;
    out = system.raise(x86::Vector::db);
  } else {
    const auto code = static_cast<svm::ExitCode>(svm::number(base) + dr);
    if (!system.intercepts(code)) {
      return true;
    }
    out = system.intercept(code, gpr);
  }
  return false;
}

}  // namespace

namespace handlers {

Step mov_from_dr(System& system, const Instruction& in) {
  const CoreState& s = system.state();
  u8 dr = in.op.r1;
  Step out{};
  if (!allowed(system, dr, svm::ExitCode::dr0_read, in.op.r0, out)) {
    return out;
  }
  const u64 value = dr < 4 ? s.dr[dr] : dr == 6 ? s.dr6 : s.dr7;
  write_gpr(system, in.op.r0, value, s.code64() ? 64 : 32);
  return Step::next;
}

Step mov_to_dr(System& system, const Instruction& in) {
  CoreState& s = system.state();
  u8 dr = in.op.r0;
  Step out{};
  if (!allowed(system, dr, svm::ExitCode::dr0_write, in.op.r1, out)) {
    return out;
  }
  u64 value = s.gpr[in.op.r1];
  if (!s.code64()) {
    value = static_cast<u32>(value);
  }
  if (dr < 4) {
    s.dr[dr] = value;
    return Step::next;
  }
  if ((value >> 32) != 0) {
    return system.raise_gp();
  }
  if (dr == 6) {
    s.dr6 = dr6_fixed | (value & dr6_writable);
  } else {
    s.dr7 = dr7_fixed | (value & ~dr7_zero);
  }
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu
