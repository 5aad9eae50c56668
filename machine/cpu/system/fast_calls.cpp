// SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, RDFSBASE and kin. APM2 6.1, 4.5.3.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

using x86::Gpr;

// Flat segments as these instructions load them without reading a descriptor.
svm::SegmentRegister flat_code(u16 sel, u8 dpl, bool long_mode) {
  const u16 size = long_mode ? svm::attribute::long_mode : svm::attribute::default_big;
  return {sel,
          static_cast<u16>(0x9B | (dpl << svm::attribute::dpl_shift) | size |
                           svm::attribute::granularity),
          0xFFFFFFFF, 0};
}
svm::SegmentRegister flat_data(u16 sel, u8 dpl) {
  return {sel,
          static_cast<u16>(0x93 | (dpl << svm::attribute::dpl_shift) | svm::attribute::default_big |
                           svm::attribute::granularity),
          0xFFFFFFFF, 0};
}

void enter(System& system, u8 cpl, u64 rip) {
  system.state().cpl = cpl;
  system.state().rip = rip;
  system.mode_changed();
}

constexpr u16 field(u64 star, unsigned high, unsigned low) {
  return static_cast<u16>(get_bits(star, high, low));
}

}  // namespace

namespace handlers {

Step syscall(System& system, const Instruction&) {
  CoreState& s = system.state();
  if ((s.efer & x86::efer::sce) == 0) {
    return system.raise_ud();
  }
  const u16 sel = static_cast<u16>(field(s.star, 47, 32) & ~3);
  const bool from64 = s.code64();
  reg(system, Gpr::rcx) = system.next_rip();
  u64 rip = s.star & 0xFFFFFFFF;
  if (s.long_mode()) {
    reg(system, Gpr::r11) = s.rflags() & ~x86::rflags::rf;
    s.set_rflags(s.rflags() & ~s.sfmask & ~x86::rflags::rf);
    rip = from64 ? s.lstar : s.cstar;
  } else {
    s.system_flags &= ~(x86::rflags::if_ | x86::rflags::vm | x86::rflags::rf);
  }
  s.seg[1] = flat_code(sel, 0, s.long_mode());
  s.seg[2] = flat_data(static_cast<u16>(sel + 8), 0);
  enter(system, 0, rip);
  return Step::jumped;
}

Step sysret(System& system, const Instruction& in) {
  CoreState& s = system.state();
  if ((s.efer & x86::efer::sce) == 0) {
    return system.raise_ud();
  }
  if (!s.protected_mode() || s.cpl != 0) {
    return system.raise_gp();
  }
  const u16 base = field(s.star, 63, 48);
  const bool to64 = s.code64() && (in.info.prefixes & prefix::rex_w) != 0;
  const u16 cs = static_cast<u16>((to64 ? base + 16 : base) | 3);
  if (s.long_mode()) {
    constexpr u64 keep = ~(x86::rflags::rf | x86::rflags::vm) & 0x3F7FD7;
    s.set_rflags(reg(system, Gpr::r11) & keep);
  } else {
    s.system_flags |= x86::rflags::if_;
  }
  s.seg[1] = flat_code(cs, 3, to64);
  // AMD: the selector alone; base, limit and attributes of SS stay.
  s.seg[2].selector = static_cast<u16>((base + 8) | 3);
  const u64 rcx = reg(system, Gpr::rcx);
  enter(system, 3, to64 ? rcx : static_cast<u32>(rcx));
  return Step::jumped;
}

// AMD: not in long mode, compatibility mode included.
Step sysenter(System& system, const Instruction&) {
  CoreState& s = system.state();
  if (s.long_mode()) {
    return system.raise_ud();
  }
  const u16 sel = static_cast<u16>(s.sysenter_cs & 0xFFFC);
  if (!s.protected_mode() || sel == 0) {
    return system.raise_gp();
  }
  s.seg[1] = flat_code(sel, 0, false);
  s.seg[2] = flat_data(static_cast<u16>(sel + 8), 0);
  s.system_flags &= ~(x86::rflags::if_ | x86::rflags::vm | x86::rflags::rf);
  reg(system, Gpr::rsp) = static_cast<u32>(s.sysenter_esp);
  enter(system, 0, static_cast<u32>(s.sysenter_eip));
  return Step::jumped;
}

Step sysexit(System& system, const Instruction&) {
  CoreState& s = system.state();
  if (s.long_mode()) {
    return system.raise_ud();
  }
  const u16 sel = static_cast<u16>(s.sysenter_cs & 0xFFFC);
  if (!s.protected_mode() || s.cpl != 0 || sel == 0) {
    return system.raise_gp();
  }
  s.seg[1] = flat_code(static_cast<u16>((sel + 16) | 3), 3, false);
  s.seg[2] = flat_data(static_cast<u16>((sel + 24) | 3), 3);
  reg(system, Gpr::rsp) = static_cast<u32>(reg(system, Gpr::rcx));
  enter(system, 3, static_cast<u32>(reg(system, Gpr::rdx)));
  return Step::jumped;
}

Step swapgs(System& system, const Instruction&) {
  CoreState& s = system.state();
  if (!s.code64()) {
    return system.raise_ud();
  }
  if (s.cpl != 0) {
    return system.raise_gp();
  }
  u64& base = s.seg[static_cast<unsigned>(x86::Segment::gs)].base;
  const u64 old = base;
  base = s.kernel_gs_base;
  s.kernel_gs_base = old;
  system.mode_changed();
  return Step::next;
}

Step fs_gs_base(System& system, const Instruction& in) {
  CoreState& s = system.state();
  if (!s.code64() || (s.cr4 & x86::cr4::fsgsbase) == 0) {
    return system.raise_ud();
  }
  const bool fs = in.id == SystemOp::rdfsbase || in.id == SystemOp::wrfsbase;
  const bool write = in.id == SystemOp::wrfsbase || in.id == SystemOp::wrgsbase;
  const auto which = static_cast<unsigned>(fs ? x86::Segment::fs : x86::Segment::gs);
  if (!write) {
    write_gpr(system, in.op.r0, s.seg[which].base, in.info.operand_bits);
    return Step::next;
  }
  const u64 raw = s.gpr[in.op.r0];
  const u64 value = in.info.operand_bits == 64 ? raw : static_cast<u32>(raw);
  if (!is_canonical(value)) {
    return system.raise_gp();
  }
  s.seg[which].base = value;
  system.mode_changed();
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu
