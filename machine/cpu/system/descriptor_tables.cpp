// LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR. APM2 4.6.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

using svm::ExitCode;
using x86::Vector;

// LLDT and LTR alike: protected mode, CPL 0, intercept, the selector.
bool begin_load(System& system, const Instruction& in, ExitCode code, u16& sel, Step& out) {
  const CoreState& s = system.state();
  if (!s.protected_mode() || s.v8086()) {
    out = system.raise_ud();
  } else if (s.cpl != 0) {
    out = system.raise_gp();
  } else if (system.intercepts(code)) {
    out = system.intercept(code);
  } else if (!read_word(system, in, in.op.r0, sel)) {
    out = Step::fault;
  } else {
    return true;
  }
  return false;
}

bool system_descriptor(System& system, u16 sel, u16 allowed_types, Descriptor& out) {
  if ((sel & selector::local) != 0) {
    return system.fail(Vector::gp, selector::error(sel));
  }
  if (!read_descriptor(system, sel, Vector::gp, 0, out)) {
    return false;
  }
  if (out.code_or_data() || ((allowed_types >> out.type()) & 1) == 0 ||
      (system.state().long_mode() && !is_canonical(out.base()))) {
    return system.fail(Vector::gp, selector::error(sel));
  }
  return out.present() || system.fail(Vector::np, selector::error(sel));
}

}  // namespace

namespace handlers {

Step load_table(System& system, const Instruction& in) {
  CoreState& s = system.state();
  const bool gdt = in.id == SystemOp::lgdt;
  if (s.cpl != 0) {
    return system.raise_gp();
  }
  const ExitCode code = gdt ? ExitCode::gdtr_write : ExitCode::idtr_write;
  if (system.intercepts(code)) {
    return system.intercept(code);
  }
  const u64 linear = linear_operand(system, in, s.code64() ? 10 : 6);
  u64 limit = 0;
  u64 base = 0;
  if (!load_sized(system, linear, 2, limit) ||
      !load_sized(system, linear_of(s, linear, 2), s.code64() ? 8 : 4, base)) {
    return Step::fault;
  }
  if (s.code64() && !is_canonical(base)) {
    return system.raise_gp();
  }
  if (!s.code64() && in.info.operand_bits == 16) {
    base &= 0xFFFFFF;
  }
  svm::SegmentRegister& table = gdt ? s.gdtr : s.idtr;
  table.limit = static_cast<u32>(limit);
  table.base = base;
  return Step::next;
}

Step store_table(System& system, const Instruction& in) {
  const CoreState& s = system.state();
  const bool gdt = in.id == SystemOp::sgdt;
  const ExitCode code = gdt ? ExitCode::gdtr_read : ExitCode::idtr_read;
  if (system.intercepts(code)) {
    return system.intercept(code);
  }
  const svm::SegmentRegister& table = gdt ? s.gdtr : s.idtr;
  const u32 base_bytes = s.code64() ? 8 : 4;
  u8 image[10];
  store_le(image, static_cast<u16>(table.limit));
  store_le(image + 2, table.base);
  const u32 size = 2 + base_bytes;
  const u64 linear = linear_operand(system, in, size, Access::write);
  return store_bytes(system.core(), linear, image, size) ? Step::next : Step::fault;
}

Step lldt(System& system, const Instruction& in) {
  CoreState& s = system.state();
  u16 sel = 0;
  Step out{};
  if (!begin_load(system, in, ExitCode::ldtr_write, sel, out)) {
    return out;
  }
  if (selector::is_null(sel)) {
    s.ldtr = {sel, 0, 0, 0};
    return Step::next;
  }
  Descriptor descriptor;
  if (!system_descriptor(system, sel, 1u << system_type::ldt, descriptor)) {
    return Step::fault;
  }
  s.ldtr = to_register(sel, descriptor);
  return Step::next;
}

Step ltr(System& system, const Instruction& in) {
  CoreState& s = system.state();
  u16 sel = 0;
  Step out{};
  if (!begin_load(system, in, ExitCode::tr_write, sel, out)) {
    return out;
  }
  if (selector::is_null(sel)) {
    return system.raise_gp();
  }
  const u16 types = static_cast<u16>((1u << system_type::tss32) |
                                     (s.long_mode() ? 0u : 1u << system_type::tss16));
  Descriptor descriptor;
  if (!system_descriptor(system, sel, types, descriptor)) {
    return Step::fault;
  }
  descriptor.low |= bit(41);  // busy
  const u8 byte = static_cast<u8>(descriptor.low >> 40);
  if (!system.mmu().write_system(system.core(), descriptor.linear + 5, &byte, 1)) {
    return Step::fault;
  }
  s.tr = to_register(sel, descriptor);
  return Step::next;
}

Step store_selector(System& system, const Instruction& in) {
  const CoreState& s = system.state();
  const bool local = in.id == SystemOp::sldt;
  if (!s.protected_mode() || s.v8086()) {
    return system.raise_ud();
  }
  const ExitCode code = local ? ExitCode::ldtr_read : ExitCode::tr_read;
  if (system.intercepts(code)) {
    return system.intercept(code);
  }
  const u16 sel = local ? s.ldtr.selector : s.tr.selector;
  if (memory_operand(in)) {
    return store_sized(system, linear_operand(system, in, 2, Access::write), 2, sel) ? Step::next
                                                                                     : Step::fault;
  }
  write_gpr(system, in.op.r0, sel, in.info.operand_bits);
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu
