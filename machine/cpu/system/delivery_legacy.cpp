// Real mode, protected mode and virtual-8086 mode: APM2 8.6-8.8.
#include "machine/cpu/system/delivery.hpp"

namespace softsnp::cpu {

using x86::Gpr;
using x86::Segment;
using x86::Vector;

bool deliver_real(System& system, const Event& event) {
  CoreState& state = system.state();
  const u32 offset = u32{event.vector} * 4;
  if (offset + 3 > state.idtr.limit) {
    return system.fail(Vector::gp, 0);
  }
  u16 gate[2];
  if (!system.mmu().read_system(system.core(), linear_of(state, state.idtr.base, offset), gate,
                                4)) {
    return false;
  }
  u64& rsp = state.gpr[static_cast<unsigned>(Gpr::rsp)];
  const u16 frame[3] = {static_cast<u16>(event.return_rip), state.seg[1].selector,
                        static_cast<u16>(state.rflags())};
  const u16 sp = static_cast<u16>(rsp - 6);
  for (u16 i = 0; i < 3; ++i) {
    const u16 at = static_cast<u16>(sp + 2 * i);
    if (!system.mmu().write_system(system.core(), linear_of(state, state.seg[2].base, at),
                                   &frame[i], 2)) {
      return false;
    }
  }
  rsp = (rsp & ~u64{0xFFFF}) | sp;
  load_real_segment(system, Segment::cs, gate[1]);
  state.rip = gate[0];
  state.system_flags &= ~(x86::rflags::tf | x86::rflags::if_ | x86::rflags::rf | x86::rflags::ac);
  return true;
}

namespace {

struct Target {
  u16 sel = 0;
  u64 rip = 0;
  Descriptor code;
  u8 cpl = 0;
  bool wide = false;  // 32-bit gate
  bool masks_interrupts = false;
};

struct Stack {
  u16 sel = 0;
  Descriptor descriptor;  // of a new stack
  bool changed = false;
  u64 base = 0;
  u64 sp = 0;
  u64 mask = 0;
};

bool read_gate(System& system, const Event& event, Descriptor& gate) {
  const CoreState& state = system.state();
  const u32 offset = u32{event.vector} * 8;
  if (offset + 7 > state.idtr.limit) {
    return system.fail(Vector::gp, gate_error(event));
  }
  if (!system.mmu().read_system(system.core(), linear_of(state, state.idtr.base, offset), &gate.low,
                                8)) {
    return false;
  }
  const u8 type = gate.type();
  // A task gate would need the task switch of legacy mode, which softsnp does not have: #GP.
  const bool known = type == system_type::interrupt16 || type == system_type::trap16 ||
                     type == system_type::interrupt32 || type == system_type::trap32;
  if (gate.code_or_data() || !known || (event.software() && gate.dpl() < state.cpl)) {
    return system.fail(Vector::gp, gate_error(event));
  }
  return gate.present() || system.fail(Vector::np, gate_error(event));
}

bool find_target(System& system, const Event& event, Target& target) {
  const CoreState& state = system.state();
  Descriptor gate;
  if (!read_gate(system, event, gate)) {
    return false;
  }
  target.wide = (gate.type() & 8) != 0;
  target.masks_interrupts = (gate.type() & 1) == 0;
  target.sel = gate.gate_selector();
  target.rip = gate.gate_offset() & (target.wide ? 0xFFFFFFFF : 0xFFFF);
  const u32 external = external_bit(event);
  if (selector::is_null(target.sel)) {
    return system.fail(Vector::gp, external);
  }
  if (!read_descriptor(system, target.sel, Vector::gp, external, target.code)) {
    return false;
  }
  const u32 error = selector::error(target.sel) | external;
  target.cpl = target.code.conforming() ? state.cpl : target.code.dpl();
  // From v8086 mode only CPL 0 may be entered.
  if (!target.code.code() || target.code.dpl() > state.cpl || (state.v8086() && target.cpl != 0)) {
    return system.fail(Vector::gp, error);
  }
  if (!target.code.present()) {
    return system.fail(Vector::np, error);
  }
  return target.rip <= target.code.limit() || system.fail(Vector::gp, external);
}

// Stack pointer and selector of privilege cpl from the TSS (APM2 12.2.2).
bool read_tss_stack(System& system, u8 cpl, u32 external, Stack& stack) {
  const CoreState& state = system.state();
  const bool wide = (state.tr.attributes & 8) != 0;
  const u32 offset = wide ? 4 + 8u * cpl : 2 + 4u * cpl;
  const u32 size = wide ? 6 : 4;
  if (offset + size - 1 > state.tr.limit) {
    return system.fail(Vector::ts, selector::error(state.tr.selector) | external);
  }
  u8 bytes[6];
  if (!system.mmu().read_system(system.core(), linear_of(state, state.tr.base, offset), bytes,
                                size)) {
    return false;
  }
  stack.sp = wide ? load_le<u32>(bytes) : load_le<u16>(bytes);
  stack.sel = load_le<u16>(bytes + size - 2);
  return true;
}

bool find_stack(System& system, const Event& event, const Target& target, Stack& stack) {
  const CoreState& state = system.state();
  stack.changed = target.cpl != state.cpl;
  u16 attributes = state.seg[2].attributes;
  if (!stack.changed) {
    stack.base = state.seg[2].base;
    stack.sp = state.gpr[static_cast<unsigned>(Gpr::rsp)];
  } else {
    const u32 external = external_bit(event);
    if (!read_tss_stack(system, target.cpl, external, stack) ||
        !check_stack_segment(system, stack.sel, target.cpl, Vector::ts, external,
                             stack.descriptor)) {
      return false;
    }
    stack.base = stack.descriptor.base();
    attributes = stack.descriptor.attributes();
  }
  stack.mask = (attributes & svm::attribute::default_big) != 0 ? 0xFFFFFFFF : 0xFFFF;
  return true;
}

// The saved state in the order of the stack, highest address first.
struct Frame {
  u32 at[10];
  unsigned count = 0;
  void push(u64 value) { at[count++] = static_cast<u32>(value); }
};

Frame make_frame(const CoreState& state, const Event& event, bool outer_stack) {
  Frame frame;
  if (state.v8086()) {
    for (Segment s : {Segment::gs, Segment::fs, Segment::ds, Segment::es}) {
      frame.push(state.seg[static_cast<unsigned>(s)].selector);
    }
  }
  if (outer_stack) {
    frame.push(state.seg[2].selector);
    frame.push(state.gpr[static_cast<unsigned>(Gpr::rsp)]);
  }
  frame.push(saved_rflags(state, event));
  frame.push(state.seg[1].selector);
  frame.push(event.return_rip);
  if (event.has_error) {
    frame.push(event.error);
  }
  return frame;
}

bool push_frame(System& system, const Frame& frame, bool wide, u8 cpl, Stack& stack) {
  const u32 size = wide ? 4 : 2;
  for (unsigned i = 0; i < frame.count; ++i) {
    stack.sp = (stack.sp & ~stack.mask) | ((stack.sp - size) & stack.mask);
    const u64 linear = linear_of(system.state(), stack.base, stack.sp & stack.mask);
    if (!write_stack(system, linear, &frame.at[i], size, cpl)) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool deliver_protected(System& system, const Event& event) {
  CoreState& state = system.state();
  Target target;
  Stack stack;
  if (!find_target(system, event, target) || !find_stack(system, event, target, stack) ||
      !push_frame(system, make_frame(state, event, stack.changed), target.wide, target.cpl,
                  stack)) {
    return false;
  }
  if (stack.changed && !mark_accessed(system, stack.descriptor)) {
    return false;
  }
  if (!load_code_segment(system, target.sel, target.code, target.cpl)) {
    return false;
  }
  if (stack.changed) {
    state.seg[2] = to_register(stack.sel, stack.descriptor);
  }
  if (state.v8086()) {
    for (Segment s : {Segment::gs, Segment::fs, Segment::ds, Segment::es}) {
      state.seg[static_cast<unsigned>(s)] = {0, 0, 0, 0};
    }
  }
  state.gpr[static_cast<unsigned>(Gpr::rsp)] = stack.sp;
  state.cpl = target.cpl;
  state.rip = target.rip;
  state.system_flags &= ~(x86::rflags::tf | x86::rflags::nt | x86::rflags::rf | x86::rflags::vm);
  if (target.masks_interrupts) {
    state.system_flags &= ~x86::rflags::if_;
  }
  return true;
}

}  // namespace softsnp::cpu
