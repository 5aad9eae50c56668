// LAR, LSL, VERR, VERW, ARPL, MOV and POP to segment registers, LDS and kin. APM3.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

using x86::Segment;

void set_zf(System& system, bool zf) {
  CoreState& s = system.state();
  const u64 flags = s.flags.pack();
  s.flags.unpack(zf ? flags | x86::rflags::zf : flags & ~x86::rflags::zf);
}

// The register operand beside a memory or register operand.
u8 other_register(const Instruction& in) {
  return in.op.r1 != gpr_zero ? in.op.r1 : in.op.r0;
}

enum class Visible : u8 { yes, no, fault };

// Descriptor of the operand as LAR, LSL, VERR, VERW see it: no exception for a bad selector.
Visible look(System& system, u16 sel, Descriptor& out) {
  if (selector::is_null(sel)) {
    return Visible::no;
  }
  switch (read_descriptor(system, sel, out)) {
    case Lookup::fault:
      return Visible::fault;
    case Lookup::beyond_limit:
      return Visible::no;
    case Lookup::ok:
      break;
  }
  const CoreState& s = system.state();
  const bool any_privilege = out.code() && out.conforming();
  const bool allowed = any_privilege || (out.dpl() >= s.cpl && out.dpl() >= selector::rpl(sel));
  return allowed ? Visible::yes : Visible::no;
}

bool needs_protected_mode(System& system) {
  return !system.state().protected_mode() || system.state().v8086();
}

// System types that LAR and LSL accept (APM3, tables of LAR and LSL).
constexpr u16 types_lsl_legacy = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 9 | 1u << 11;
constexpr u16 types_lar_legacy = types_lsl_legacy | 1u << 4 | 1u << 5 | 1u << 12;
constexpr u16 types_lsl_long = 1u << 2 | 1u << 9 | 1u << 11;
constexpr u16 types_lar_long = types_lsl_long | 1u << 12;

bool system_type_allowed(const Descriptor& d, u16 types) {
  return d.code_or_data() || ((types >> d.type()) & 1) != 0;
}

// LAR and LSL but for the value.
template <class Value>
Step access_query(System& system, const Instruction& in, u16 types, Value value) {
  if (needs_protected_mode(system)) {
    return system.raise_ud();
  }
  u16 sel = 0;
  if (!read_word(system, in, in.op.r1, sel)) {
    return Step::fault;
  }
  Descriptor d;
  const Visible visible = look(system, sel, d);
  if (visible == Visible::fault) {
    return Step::fault;
  }
  const bool ok = visible == Visible::yes && system_type_allowed(d, types);
  if (ok) {
    write_gpr(system, in.op.r0, value(d), in.info.operand_bits);
  }
  set_zf(system, ok);
  return Step::next;
}

// A move to SS shields the next instruction from interrupts.
Step loaded(System& system, Segment which) {
  if (which == Segment::ss) {
    system.state().interrupt_shadow = true;
  }
  return Step::next;
}

}  // namespace

namespace handlers {

Step lar(System& system, const Instruction& in) {
  const u16 types = system.state().long_mode() ? types_lar_long : types_lar_legacy;
  return access_query(system, in, types,
                      [](const Descriptor& d) { return (d.low >> 32) & 0x00FFFF00; });
}

Step lsl(System& system, const Instruction& in) {
  const u16 types = system.state().long_mode() ? types_lsl_long : types_lsl_legacy;
  return access_query(system, in, types, [](const Descriptor& d) { return u64{d.limit()}; });
}

Step verify(System& system, const Instruction& in) {
  if (needs_protected_mode(system)) {
    return system.raise_ud();
  }
  u16 sel = 0;
  if (!read_word(system, in, in.op.r0, sel)) {
    return Step::fault;
  }
  Descriptor d;
  const Visible visible = look(system, sel, d);
  if (visible == Visible::fault) {
    return Step::fault;
  }
  const bool right = in.id == SystemOp::verr ? d.readable() : d.writable();
  set_zf(system, visible == Visible::yes && right);
  return Step::next;
}

Step arpl(System& system, const Instruction& in) {
  if (needs_protected_mode(system) || system.state().code64()) {
    return system.raise_ud();
  }
  u16 target = 0;
  if (!read_word(system, in, in.op.r0, target)) {
    return Step::fault;
  }
  const u16 rpl = static_cast<u16>(system.state().gpr[other_register(in)] & 3);
  const bool raise = (target & 3) < rpl;
  if (raise) {
    const u16 value = static_cast<u16>((target & ~3) | rpl);
    if (!memory_operand(in)) {
      write_gpr(system, in.op.r0, value, 16);
    } else if (!store_sized(system, linear_operand(system, in, 2, Access::write), 2, value)) {
      return Step::fault;
    }
  }
  set_zf(system, raise);
  return Step::next;
}

Step mov_to_seg(System& system, const Instruction& in) {
  const auto which = static_cast<Segment>(in.op.r0);
  u16 sel = 0;
  if (which == Segment::cs || in.op.r0 >= x86::segment_count) {
    return system.raise_ud();
  }
  if (!read_word(system, in, in.op.r1, sel) || !load_segment(system, which, sel)) {
    return Step::fault;
  }
  return loaded(system, which);
}

Step pop_seg(System& system, const Instruction& in) {
  const auto which = static_cast<Segment>(in.op.r0);
  if (which == Segment::cs || in.op.r0 >= x86::segment_count) {
    return system.raise_ud();
  }
  StackView stack = current_stack(system);
  u64 value = 0;
  if (!pop(system, stack, in.info.operand_bits, value) ||
      !load_segment(system, which, static_cast<u16>(value))) {
    return Step::fault;
  }
  commit(system, stack);
  return loaded(system, which);
}

Step load_far_pointer(System& system, const Instruction& in) {
  if (!memory_operand(in) || in.op.r0 >= x86::segment_count) {
    return system.raise_ud();
  }
  const unsigned bytes = in.info.operand_bits / 8;
  const u64 linear = linear_operand(system, in, bytes + 2);
  u64 offset = 0;
  u64 sel = 0;
  if (!load_sized(system, linear, bytes, offset) ||
      !load_sized(system, linear_of(system.state(), linear, bytes), 2, sel) ||
      !load_segment(system, static_cast<Segment>(in.op.r0), static_cast<u16>(sel))) {
    return Step::fault;
  }
  write_gpr(system, in.op.r1, offset, in.info.operand_bits);
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu
