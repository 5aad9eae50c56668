// MOV CRn, CLTS, LMSW, SMSW, XGETBV, XSETBV. APM2 3.1, 15.8.1, 15.9.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/paging_mode.hpp"

namespace softsnp::cpu {
namespace {

using svm::ExitCode;

ExitCode code_for(ExitCode base, unsigned n) {
  return static_cast<ExitCode>(svm::number(base) + n);
}

// Decode assist, APM2 15.8.1: EXITINFO1[63] = MOV CRx, [3:0] = GPR.
constexpr u64 mov_info(u8 gpr) {
  return bit(63) | gpr;
}

bool exists(u8 cr) {
  return cr == 0 || (cr >= 2 && cr <= 4) || cr == 8;
}

u64 read_cr8(System& system) {
  return system.controls().v_intr_masking() ? system.controls().vintr & 0xF : system.state().cr8;
}

u64 read_cr(System& system, u8 cr) {
  const CoreState& s = system.state();
  switch (cr) {
    case 0:
      return s.cr0;
    case 2:
      return s.cr2;
    case 3:
      return s.cr3;
    case 4:
      return s.cr4;
    default:
      return read_cr8(system);
  }
}

// APM2 14.6.1, 14.8: entering and leaving long mode.
bool long_mode_legal(const CoreState& s, u64 value) {
  const bool was = (s.cr0 & x86::cr0::pg) != 0;
  const bool will = (value & x86::cr0::pg) != 0;
  if (!was && will && (s.efer & x86::efer::lme) != 0) {
    return (s.cr4 & x86::cr4::pae) != 0 && (s.seg[1].attributes & svm::attribute::long_mode) == 0;
  }
  return !was || will || !(s.code64() || (s.cr4 & x86::cr4::pcide) != 0);
}

bool write_cr0(System& system, u64 value) {
  CoreState& s = system.state();
  if (!cr0_legal_for_mov(value) || !long_mode_legal(s, value)) {
    return system.fail(x86::Vector::gp, 0);
  }
  const u64 changed = s.cr0 ^ value;
  s.cr0 = (value & cr0_defined) | x86::cr0::et;
  if ((changed & x86::cr0::pg) != 0) {
    const bool active = (value & x86::cr0::pg) != 0 && (s.efer & x86::efer::lme) != 0;
    s.efer = active ? s.efer | x86::efer::lma : s.efer & ~x86::efer::lma;
  }
  if ((changed & (x86::cr0::pg | x86::cr0::pe | x86::cr0::wp)) != 0) {
    system.mmu().flush_all(system.core());
  }
  system.mode_changed();
  return true;
}

bool write_cr3(System& system, u64 value) {
  CoreState& s = system.state();
  const bool pcid = (s.cr4 & x86::cr4::pcide) != 0;
  const u64 effective_value = pcid ? value & ~cr3_no_flush : value;
  if (s.long_mode() && (effective_value & cr3_reserved_long) != 0) {
    return system.fail(x86::Vector::gp, 0);
  }
  s.cr3 = effective_value;
  // The TLB carries no PCID: a flush beyond what bit 63 or another PCID asks for is legal.
  system.flush_tlb(TlbFlush::non_global);
  return true;
}

bool write_cr4(System& system, u64 value) {
  CoreState& s = system.state();
  const u64 set = value & ~s.cr4;
  const bool pcid_illegal =
      (set & x86::cr4::pcide) != 0 && (!s.long_mode() || (s.cr3 & page_offset_mask) != 0);
  if (!cr4_legal(value) || (s.long_mode() && (value & x86::cr4::pae) == 0) || pcid_illegal) {
    return system.fail(x86::Vector::gp, 0);
  }
  constexpr u64 paging = x86::cr4::pge | x86::cr4::pae | x86::cr4::pse | x86::cr4::pcide |
                         x86::cr4::smep | x86::cr4::smap;
  const bool flush = ((value ^ s.cr4) & paging) != 0;
  s.cr4 = value;
  if (flush) {
    system.flush_tlb(TlbFlush::all);
  }
  system.mode_changed();
  return true;
}

bool write_cr8(System& system, u64 value) {
  if (value > 15) {
    return system.fail(x86::Vector::gp, 0);
  }
  if (system.controls().v_intr_masking()) {
    u64& vintr = system.controls().vintr;
    vintr = with_bits(vintr, 7, 0, value);
  } else {
    system.state().cr8 = value;
  }
  return true;
}

bool write_cr(System& system, u8 cr, u64 value) {
  switch (cr) {
    case 0:
      return write_cr0(system, value);
    case 2:
      system.state().cr2 = value;
      return true;
    case 3:
      return write_cr3(system, value);
    case 4:
      return write_cr4(system, value);
    default:
      return write_cr8(system, value);
  }
}

// After the write: the write trap (hardware sheet 7.1), else the next instruction.
Step written(System& system, u8 cr, u64 value) {
  const ExitCode trap = code_for(ExitCode::cr0_write_trap, cr);
  if (system.intercepts(trap)) {
    system.state().rip = system.next_rip();
    return system.leave(trap, value);
  }
  return Step::next;
}

// CR0 writes other than MOV: intercept 10h, then the selective one if more than TS, MP changes.
bool cr0_write_intercepted(System& system, u64 value, u64 info1, Step& out) {
  if (system.intercepts(ExitCode::cr0_write)) {
    out = system.intercept(ExitCode::cr0_write, info1);
    return true;
  }
  const u64 changed = (system.state().cr0 ^ value) & ~(x86::cr0::ts | x86::cr0::mp);
  if (changed != 0 && system.intercepts(ExitCode::cr0_selective)) {
    out = system.intercept(ExitCode::cr0_selective, info1);
    return true;
  }
  return false;
}

Step store_cr0_low(System& system, u64 value) {
  if (!write_cr0(system, value)) {
    return Step::fault;
  }
  return written(system, 0, value);
}

}  // namespace

namespace handlers {

Step mov_from_cr(System& system, const Instruction& in) {
  const u8 cr = in.op.r1;
  if (!exists(cr)) {
    return system.raise_ud();
  }
  if (system.state().cpl != 0) {
    return system.raise_gp();
  }
  const ExitCode code = code_for(ExitCode::cr0_read, cr);
  if (system.intercepts(code)) {
    return system.intercept(code, mov_info(in.op.r0));
  }
  write_gpr(system, in.op.r0, read_cr(system, cr), system.state().code64() ? 64 : 32);
  return Step::next;
}

Step mov_to_cr(System& system, const Instruction& in) {
  const u8 cr = in.op.r0;
  if (!exists(cr)) {
    return system.raise_ud();
  }
  if (system.state().cpl != 0) {
    return system.raise_gp();
  }
  u64 value = system.state().gpr[in.op.r1];
  if (!system.state().code64()) {
    value = static_cast<u32>(value);
  }
  Step out{};
  const ExitCode code = code_for(ExitCode::cr0_write, cr);
  if (cr == 0 ? cr0_write_intercepted(system, value, mov_info(in.op.r1), out)
              : system.intercepts(code)) {
    return cr == 0 ? out : system.intercept(code, mov_info(in.op.r1));
  }
  if (!write_cr(system, cr, value)) {
    return Step::fault;
  }
  return written(system, cr, value);
}

Step clts(System& system, const Instruction&) {
  if (system.state().cpl != 0) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::cr0_write)) {
    return system.intercept(ExitCode::cr0_write);
  }
  return store_cr0_low(system, system.state().cr0 & ~x86::cr0::ts);
}

Step lmsw(System& system, const Instruction& in) {
  u16 word = 0;
  if (system.state().cpl != 0) {
    return system.raise_gp();
  }
  if (!read_word(system, in, in.op.r0, word)) {
    return Step::fault;
  }
  // PE can be set, not cleared.
  constexpr u64 low = x86::cr0::pe | x86::cr0::mp | x86::cr0::em | x86::cr0::ts;
  const u64 cr0 = system.state().cr0;
  const u64 value = (cr0 & ~low) | (word & low) | (cr0 & x86::cr0::pe);
  Step out{};
  return cr0_write_intercepted(system, value, 0, out) ? out : store_cr0_low(system, value);
}

Step smsw(System& system, const Instruction& in) {
  if (system.intercepts(ExitCode::cr0_read)) {
    return system.intercept(ExitCode::cr0_read);
  }
  const u64 value = system.state().cr0;
  if (memory_operand(in)) {
    return store_sized(system, linear_operand(system, in, 2, Access::write), 2, value)
               ? Step::next
               : Step::fault;
  }
  write_gpr(system, in.op.r0, value, in.info.operand_bits);
  return Step::next;
}

Step xgetbv(System& system, const Instruction&) {
  const CoreState& s = system.state();
  if ((s.cr4 & x86::cr4::osxsave) == 0) {
    return system.raise_ud();
  }
  if (static_cast<u32>(reg(system, x86::Gpr::rcx)) != 0) {
    return system.raise_gp();
  }
  reg(system, x86::Gpr::rax) = static_cast<u32>(s.xcr0);
  reg(system, x86::Gpr::rdx) = s.xcr0 >> 32;
  return Step::next;
}

Step xsetbv(System& system, const Instruction&) {
  CoreState& s = system.state();
  if ((s.cr4 & x86::cr4::osxsave) == 0) {
    return system.raise_ud();
  }
  if (s.cpl != 0) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::xsetbv)) {
    return system.intercept(ExitCode::xsetbv);
  }
  const u64 value =
      static_cast<u32>(reg(system, x86::Gpr::rax)) | (reg(system, x86::Gpr::rdx) << 32);
  if (static_cast<u32>(reg(system, x86::Gpr::rcx)) != 0 || !xcr0_legal(value)) {
    return system.raise_gp();
  }
  s.xcr0 = value;
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu
