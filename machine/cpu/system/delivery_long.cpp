// Long mode: APM2 8.9.
#include "machine/cpu/system/delivery.hpp"

namespace softsnp::cpu {
namespace {

using x86::Vector;

struct Target {
  u16 sel = 0;
  u64 rip = 0;
  Descriptor code;
  u8 cpl = 0;
  unsigned ist = 0;
  bool masks_interrupts = false;
};

bool read_gate(System& system, const Event& event, Descriptor& gate) {
  const CoreState& state = system.state();
  const u32 offset = u32{event.vector} * 16;
  if (offset + 15 > state.idtr.limit) {
    return system.fail(Vector::gp, gate_error(event));
  }
  if (!system.mmu().read_system(system.core(), state.idtr.base + offset, &gate.low, 16)) {
    return false;
  }
  const bool known = gate.type() == system_type::interrupt32 || gate.type() == system_type::trap32;
  if (gate.code_or_data() || !known || (event.software() && gate.dpl() < state.cpl)) {
    return system.fail(Vector::gp, gate_error(event));
  }
  return gate.present() || system.fail(Vector::np, gate_error(event));
}

bool find_target(System& system, const Event& event, Target& target) {
  Descriptor gate;
  if (!read_gate(system, event, gate)) {
    return false;
  }
  target.sel = gate.gate_selector();
  target.rip = gate.gate_offset();
  target.ist = static_cast<unsigned>(get_bits(gate.low, 34, 32));
  target.masks_interrupts = gate.type() == system_type::interrupt32;
  const u32 external = external_bit(event);
  if (selector::is_null(target.sel)) {
    return system.fail(Vector::gp, external);
  }
  if (!read_descriptor(system, target.sel, Vector::gp, external, target.code)) {
    return false;
  }
  const Descriptor& code = target.code;
  const u32 error = selector::error(target.sel) | external;
  if (!code.code() || code.dpl() > system.state().cpl || !code.long_mode() || code.big()) {
    return system.fail(Vector::gp, error);
  }
  target.cpl = code.conforming() ? system.state().cpl : code.dpl();
  if (!code.present()) {
    return system.fail(Vector::np, error);
  }
  return is_canonical(target.rip) || system.fail(Vector::gp, external);
}

// RSP before the frame is pushed.
bool find_stack(System& system, const Event& event, const Target& target, u64& rsp) {
  const CoreState& state = system.state();
  if (target.ist == 0 && target.cpl == state.cpl) {
    rsp = state.gpr[static_cast<unsigned>(x86::Gpr::rsp)];
  } else {
    const u32 offset = target.ist != 0 ? 0x24 + 8 * (target.ist - 1) : 4 + 8u * target.cpl;
    if (offset + 7 > state.tr.limit) {
      return system.fail(Vector::ts, selector::error(state.tr.selector) | external_bit(event));
    }
    if (!system.mmu().read_system(system.core(), state.tr.base + offset, &rsp, 8)) {
      return false;
    }
  }
  rsp &= ~u64{15};
  return is_canonical(rsp) || system.fail(Vector::ss, external_bit(event));
}

}  // namespace

bool deliver_long(System& system, const Event& event) {
  CoreState& state = system.state();
  Target target;
  u64 rsp = 0;
  if (!find_target(system, event, target) || !find_stack(system, event, target, rsp)) {
    return false;
  }
  u64& old_rsp = state.gpr[static_cast<unsigned>(x86::Gpr::rsp)];
  const u64 frame[6] = {
      event.error, event.return_rip,     state.seg[1].selector, saved_rflags(state, event),
      old_rsp,     state.seg[2].selector};
  const unsigned first = event.has_error ? 0 : 1;
  const u32 size = (6 - first) * 8;
  if (!write_stack(system, rsp - size, frame + first, size, target.cpl) ||
      !load_code_segment(system, target.sel, target.code, target.cpl)) {
    return false;
  }
  if (target.cpl != state.cpl) {
    state.seg[2] = {target.cpl, static_cast<u16>(target.cpl << svm::attribute::dpl_shift), 0, 0};
    state.cpl = target.cpl;
  }
  old_rsp = rsp - size;
  state.rip = target.rip;
  state.system_flags &= ~(x86::rflags::tf | x86::rflags::nt | x86::rflags::rf | x86::rflags::vm);
  if (target.masks_interrupts) {
    state.system_flags &= ~x86::rflags::if_;
  }
  return true;
}

}  // namespace softsnp::cpu
