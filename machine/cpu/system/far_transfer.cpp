// Far JMP, CALL and RET, call gates included. APM2 4.10, APM3. Transfers through a TSS or a task
// gate would need the legacy task switch, which softsnp does not have: #GP(selector).
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

using x86::Gpr;
using x86::Segment;
using x86::Vector;

struct FarPointer {
  u16 sel = 0;
  u64 offset = 0;
};

bool read_pointer(System& system, const Instruction& in, FarPointer& out) {
  if (!memory_operand(in)) {
    out = {static_cast<u16>(in.op.disp), static_cast<u64>(in.op.imm)};
    out.offset &= in.info.operand_bits == 16 ? 0xFFFF : 0xFFFFFFFF;
    return true;
  }
  const unsigned bytes = in.info.operand_bits / 8;
  const u64 linear = linear_operand(system, in, bytes + 2);
  u64 sel = 0;
  if (!load_sized(system, linear, bytes, out.offset) ||
      !load_sized(system, linear_of(system.state(), linear, bytes), 2, sel)) {
    return false;
  }
  out.sel = static_cast<u16>(sel);
  return true;
}

bool check_target_rip(System& system, const Descriptor& code, u64 rip) {
  const bool long_target = system.state().long_mode() && code.long_mode();
  return (long_target ? is_canonical(rip) : rip <= code.limit()) || system.fail(Vector::gp, 0);
}

void go(System& system, u64 rip) {
  system.state().rip = rip;
  system.mode_changed();
}

struct Gate {
  u16 sel = 0;
  u64 offset = 0;
  unsigned bits = 32;       // of what is pushed
  unsigned parameters = 0;  // legacy: stack words copied
  Descriptor code;
};

// APM2 4.8.3, 4.10: the call gate a selector names, and the code segment behind it.
bool read_call_gate(System& system, u16 sel, const Descriptor& d, Gate& gate, bool jump) {
  const CoreState& s = system.state();
  const bool wide = d.type() == system_type::call32;
  const bool known = wide || (d.type() == system_type::call16 && !s.long_mode());
  if (!known || d.dpl() < s.cpl || d.dpl() < selector::rpl(sel)) {
    return system.fail(Vector::gp, selector::error(sel));
  }
  if (!d.present()) {
    return system.fail(Vector::np, selector::error(sel));
  }
  gate.sel = d.gate_selector();
  gate.bits = s.long_mode() ? 64 : wide ? 32 : 16;
  gate.offset = gate.bits == 16 ? d.gate_offset() & 0xFFFF : d.gate_offset();
  gate.parameters = s.long_mode() ? 0 : static_cast<unsigned>(get_bits(d.low, 36, 32));
  if (selector::is_null(gate.sel)) {
    return system.fail(Vector::gp, 0);
  }
  if (!read_descriptor(system, gate.sel, Vector::gp, 0, gate.code)) {
    return false;
  }
  const Descriptor& code = gate.code;
  const bool privilege = jump && !code.conforming() ? code.dpl() == s.cpl : code.dpl() <= s.cpl;
  const bool long_code = !s.long_mode() || (code.long_mode() && !code.big());
  if (!code.code() || !privilege || !long_code) {
    return system.fail(Vector::gp, selector::error(gate.sel));
  }
  if (!code.present()) {
    return system.fail(Vector::np, selector::error(gate.sel));
  }
  return check_target_rip(system, code, gate.offset);
}

// Stack of privilege cpl from the TSS: view and SS to load.
bool inner_stack(System& system, u8 cpl, StackView& view, svm::SegmentRegister& ss) {
  const CoreState& s = system.state();
  if (s.long_mode()) {
    const u32 offset = 4 + 8u * cpl;
    if (offset + 7 > s.tr.limit) {
      return system.fail(Vector::ts, selector::error(s.tr.selector));
    }
    ss = {cpl, static_cast<u16>(cpl << svm::attribute::dpl_shift), 0, 0};
    return system.mmu().read_system(system.core(), s.tr.base + offset, &view.sp, 8);
  }
  const bool wide = (s.tr.attributes & 8) != 0;
  const u32 offset = wide ? 4 + 8u * cpl : 2 + 4u * cpl;
  const u32 size = wide ? 6 : 4;
  if (offset + size - 1 > s.tr.limit) {
    return system.fail(Vector::ts, selector::error(s.tr.selector));
  }
  u8 bytes[6];
  Descriptor d;
  if (!system.mmu().read_system(system.core(), linear_of(s, s.tr.base, offset), bytes, size)) {
    return false;
  }
  const u16 sel = load_le<u16>(bytes + size - 2);
  if (!check_stack_segment(system, sel, cpl, Vector::ts, 0, d) || !mark_accessed(system, d)) {
    return false;
  }
  view.sp = wide ? load_le<u32>(bytes) : load_le<u16>(bytes);
  view.base = d.base();
  view.mask = d.big() ? 0xFFFFFFFF : 0xFFFF;
  ss = to_register(sel, d);
  return true;
}

// Pushes to a stack of more privilege.
bool push_inner(System& system, StackView& view, unsigned bits, u64 value) {
  view.sp = (view.sp & ~view.mask) | ((view.sp - bits / 8) & view.mask);
  return system.mmu().write_system(
      system.core(), linear_of(system.state(), view.base, view.sp & view.mask), &value, bits / 8);
}

Step call_inner(System& system, Gate& gate) {
  CoreState& s = system.state();
  const u8 cpl = gate.code.dpl();
  StackView view;
  svm::SegmentRegister ss{};
  if (!inner_stack(system, cpl, view, ss)) {
    return Step::fault;
  }
  StackView outer = current_stack(system);
  u64 parameters[32] = {};
  for (unsigned i = 0; i < gate.parameters; ++i) {
    if (!pop(system, outer, gate.bits, parameters[i])) {
      return Step::fault;
    }
  }
  bool ok = push_inner(system, view, gate.bits, s.seg[2].selector) &&
            push_inner(system, view, gate.bits, reg(system, Gpr::rsp));
  for (unsigned i = gate.parameters; ok && i > 0; --i) {
    ok = push_inner(system, view, gate.bits, parameters[i - 1]);
  }
  ok = ok && push_inner(system, view, gate.bits, s.seg[1].selector) &&
       push_inner(system, view, gate.bits, system.next_rip()) &&
       load_code_segment(system, gate.sel, gate.code, cpl);
  if (!ok) {
    return Step::fault;
  }
  s.seg[2] = ss;
  s.cpl = cpl;
  commit(system, view);
  go(system, gate.offset);
  return Step::jumped;
}

bool push_return(System& system, StackView& stack, unsigned bits) {
  return push(system, stack, bits, system.state().seg[1].selector) &&
         push(system, stack, bits, system.next_rip());
}

Step through_gate(System& system, u16 sel, const Descriptor& d, bool jump) {
  Gate gate;
  if (!read_call_gate(system, sel, d, gate, jump)) {
    return Step::fault;
  }
  if (!jump && !gate.code.conforming() && gate.code.dpl() < system.state().cpl) {
    return call_inner(system, gate);
  }
  StackView stack = current_stack(system);
  if ((!jump && !push_return(system, stack, gate.bits)) ||
      !load_code_segment(system, gate.sel, gate.code, system.state().cpl)) {
    return Step::fault;
  }
  commit(system, stack);
  go(system, gate.offset);
  return Step::jumped;
}

Step transfer_real(System& system, const FarPointer& to, unsigned bits, bool jump) {
  StackView stack = current_stack(system);
  if (!jump && !push_return(system, stack, bits)) {
    return Step::fault;
  }
  commit(system, stack);
  load_real_segment(system, Segment::cs, to.sel);
  go(system, to.offset);
  return Step::jumped;
}

Step transfer(System& system, const Instruction& in, bool jump) {
  const CoreState& s = system.state();
  FarPointer to;
  if (!read_pointer(system, in, to)) {
    return Step::fault;
  }
  const unsigned bits = in.info.operand_bits;
  if (!s.protected_mode() || s.v8086()) {
    return transfer_real(system, to, bits, jump);
  }
  if (selector::is_null(to.sel)) {
    return system.raise_gp();
  }
  Descriptor d;
  if (!read_descriptor(system, to.sel, Vector::gp, 0, d)) {
    return Step::fault;
  }
  if (!d.code_or_data()) {
    return through_gate(system, to.sel, d, jump);
  }
  StackView stack = current_stack(system);
  if (!check_code_target(system, to.sel, d) || !check_target_rip(system, d, to.offset) ||
      (!jump && !push_return(system, stack, bits)) ||
      !load_code_segment(system, to.sel, d, s.cpl)) {
    return Step::fault;
  }
  commit(system, stack);
  go(system, to.offset);
  return Step::jumped;
}

// CS of a far return: like IRET's, the RPL is the new CPL.
bool check_return_code(System& system, u16 sel, Descriptor& d) {
  const CoreState& s = system.state();
  const u8 rpl = selector::rpl(sel);
  if (selector::is_null(sel)) {
    return system.fail(Vector::gp, 0);
  }
  if (!read_descriptor(system, sel, Vector::gp, 0, d)) {
    return false;
  }
  const bool privilege = d.conforming() ? d.dpl() <= rpl : d.dpl() == rpl;
  if (!d.code() || rpl < s.cpl || !privilege || (s.long_mode() && d.long_mode() && d.big())) {
    return system.fail(Vector::gp, selector::error(sel));
  }
  return d.present() || system.fail(Vector::np, selector::error(sel));
}

}  // namespace

bool check_return_stack(System& system, u16 sel, u8 cpl, bool to_64bit, svm::SegmentRegister& ss) {
  if (selector::is_null(sel) && to_64bit && cpl != 3 && system.state().long_mode()) {
    ss = {sel, static_cast<u16>(cpl << svm::attribute::dpl_shift), 0, 0};
    return true;
  }
  Descriptor d;
  if (!check_stack_segment(system, sel, cpl, Vector::gp, 0, d) || !mark_accessed(system, d)) {
    return false;
  }
  ss = to_register(sel, d);
  return true;
}

bool read_return_code(System& system, u16 sel, u64 rip, Descriptor& d) {
  return check_return_code(system, sel, d) && check_target_rip(system, d, rip);
}

namespace handlers {

Step far_jump(System& system, const Instruction& in) {
  return transfer(system, in, true);
}

Step far_call(System& system, const Instruction& in) {
  return transfer(system, in, false);
}

Step far_return(System& system, const Instruction& in) {
  CoreState& s = system.state();
  const unsigned bits = in.info.operand_bits;
  StackView stack = current_stack(system);
  u64 rip = 0;
  u64 sel = 0;
  if (!pop(system, stack, bits, rip) || !pop(system, stack, bits, sel)) {
    return Step::fault;
  }
  const u64 extra = in.op.imm & 0xFFFF;
  stack.sp = (stack.sp & ~stack.mask) | ((stack.sp + extra) & stack.mask);
  const u16 cs = static_cast<u16>(sel);
  if (!s.protected_mode() || s.v8086()) {
    load_real_segment(system, Segment::cs, cs);
    commit(system, stack);
    go(system, rip);
    return Step::jumped;
  }
  Descriptor d;
  if (!read_return_code(system, cs, rip, d)) {
    return Step::fault;
  }
  const u8 cpl = selector::rpl(cs);
  if (cpl == s.cpl) {
    if (!load_code_segment(system, cs, d, cpl)) {
      return Step::fault;
    }
    commit(system, stack);
    go(system, rip);
    return Step::jumped;
  }
  u64 rsp = 0;
  u64 ss_sel = 0;
  svm::SegmentRegister ss{};
  if (!pop(system, stack, bits, rsp) || !pop(system, stack, bits, ss_sel) ||
      !check_return_stack(system, static_cast<u16>(ss_sel), cpl, d.long_mode(), ss) ||
      !load_code_segment(system, cs, d, cpl)) {
    return Step::fault;
  }
  s.seg[2] = ss;
  s.cpl = cpl;
  reg(system, Gpr::rsp) = rsp;
  StackView outer = current_stack(system);
  outer.sp = (outer.sp & ~outer.mask) | ((outer.sp + extra) & outer.mask);
  commit(system, outer);
  drop_privileged_segments(system);
  go(system, rip);
  return Step::jumped;
}

}  // namespace handlers
}  // namespace softsnp::cpu
