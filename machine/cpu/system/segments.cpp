#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {

using x86::Segment;
using x86::Vector;

bool is_canonical(u64 linear) {
  const u64 top = linear >> 47;
  return top == 0 || top == mask_bits(16, 0);
}

u64 linear_of(const CoreState& state, u64 base, u64 offset) {
  return state.long_mode() ? base + offset : static_cast<u32>(base + offset);
}

Lookup read_descriptor(System& system, u16 sel, Descriptor& out) {
  const CoreState& state = system.state();
  const bool local = (sel & selector::local) != 0;
  if (local && (state.ldtr.attributes & svm::attribute::present) == 0) {
    return Lookup::beyond_limit;
  }
  const svm::SegmentRegister& table = local ? state.ldtr : state.gdtr;
  const u32 offset = sel & ~7u;
  if (offset + 7 > table.limit) {
    return Lookup::beyond_limit;
  }
  out = {};
  out.linear = linear_of(state, table.base, offset);
  if (!system.mmu().read_system(system.core(), out.linear, &out.low, 8)) {
    return Lookup::fault;
  }
  if (out.code_or_data() || !state.long_mode()) {
    return Lookup::ok;
  }
  if (offset + 15 > table.limit) {
    return Lookup::beyond_limit;
  }
  return system.mmu().read_system(system.core(), out.linear + 8, &out.high, 8) ? Lookup::ok
                                                                               : Lookup::fault;
}

bool read_descriptor(System& system, u16 sel, Vector vector, u32 external, Descriptor& out) {
  switch (read_descriptor(system, sel, out)) {
    case Lookup::ok:
      return true;
    case Lookup::beyond_limit:
      return system.fail(vector, selector::error(sel) | external);
    case Lookup::fault:
      break;
  }
  return false;
}

bool mark_accessed(System& system, Descriptor& descriptor) {
  if (has_bit(descriptor.low, 40)) {
    return true;
  }
  descriptor.low |= bit(40);
  const u8 byte = static_cast<u8>(descriptor.low >> 40);
  return system.mmu().write_system(system.core(), descriptor.linear + 5, &byte, 1);
}

svm::SegmentRegister to_register(u16 sel, const Descriptor& descriptor) {
  return {sel, descriptor.attributes(), descriptor.limit(), descriptor.base()};
}

void set_segment(System& system, Segment which, const svm::SegmentRegister& value) {
  system.state().seg[static_cast<unsigned>(which)] = value;
}

void load_real_segment(System& system, Segment which, u16 sel) {
  svm::SegmentRegister& target = system.state().seg[static_cast<unsigned>(which)];
  target.selector = sel;
  target.base = u64{sel} << 4;
  if (system.state().v8086()) {
    target.limit = 0xFFFF;
    target.attributes = 0xF3;
  }
}

namespace {

// APM2 4.5.1: a null selector; in long mode it is usable as SS below CPL 3 too.
bool load_null(System& system, Segment which, u16 sel) {
  CoreState& state = system.state();
  if (which == Segment::ss &&
      (!state.code64() || state.cpl == 3 || selector::rpl(sel) != state.cpl)) {
    return system.fail(Vector::gp, 0);
  }
  // CPUID Fn8000_0021_EAX[6], NullSelectorClearsBase.
  svm::SegmentRegister value{sel, 0, 0, 0};
  if (which == Segment::ss) {
    value.attributes = static_cast<u16>(state.cpl << svm::attribute::dpl_shift);
  }
  set_segment(system, which, value);
  return true;
}

bool check_data_segment(System& system, u16 sel, const Descriptor& descriptor) {
  const u8 cpl = system.state().cpl;
  const bool conforming = descriptor.code() && descriptor.conforming();
  const bool privilege =
      conforming || (descriptor.dpl() >= cpl && descriptor.dpl() >= selector::rpl(sel));
  if (!descriptor.readable() || !privilege) {
    return system.fail(Vector::gp, selector::error(sel));
  }
  return descriptor.present() || system.fail(Vector::np, selector::error(sel));
}

}  // namespace

bool check_stack_segment(System& system, u16 sel, u8 cpl, Vector vector, u32 external,
                         Descriptor& out) {
  if (selector::is_null(sel)) {
    return system.fail(vector, external);
  }
  if (!read_descriptor(system, sel, vector, external, out)) {
    return false;
  }
  if (selector::rpl(sel) != cpl || !out.writable() || out.dpl() != cpl) {
    return system.fail(vector, selector::error(sel) | external);
  }
  return out.present() || system.fail(Vector::ss, selector::error(sel) | external);
}

bool load_segment(System& system, Segment which, u16 sel) {
  const CoreState& state = system.state();
  if (!state.protected_mode() || state.v8086()) {
    load_real_segment(system, which, sel);
  } else if (selector::is_null(sel)) {
    if (!load_null(system, which, sel)) {
      return false;
    }
  } else {
    Descriptor descriptor;
    if (which == Segment::ss) {
      if (!check_stack_segment(system, sel, state.cpl, Vector::gp, 0, descriptor)) {
        return false;
      }
    } else if (!read_descriptor(system, sel, Vector::gp, 0, descriptor) ||
               !check_data_segment(system, sel, descriptor)) {
      return false;
    }
    if (!mark_accessed(system, descriptor)) {
      return false;
    }
    set_segment(system, which, to_register(sel, descriptor));
  }
  system.mode_changed();
  return true;
}

bool check_code_target(System& system, u16 sel, Descriptor& out) {
  const CoreState& state = system.state();
  const u8 cpl = state.cpl;
  if (selector::is_null(sel)) {
    return system.fail(Vector::gp, 0);
  }
  if (!read_descriptor(system, sel, Vector::gp, 0, out)) {
    return false;
  }
  const bool privilege =
      out.conforming() ? out.dpl() <= cpl : out.dpl() == cpl && selector::rpl(sel) <= cpl;
  if (!out.code() || !privilege || (state.long_mode() && out.long_mode() && out.big())) {
    return system.fail(Vector::gp, selector::error(sel));
  }
  return out.present() || system.fail(Vector::np, selector::error(sel));
}

bool load_code_segment(System& system, u16 sel, Descriptor& descriptor, u8 cpl) {
  if (!mark_accessed(system, descriptor)) {
    return false;
  }
  const u16 with_rpl = static_cast<u16>((sel & ~selector::rpl_mask) | cpl);
  set_segment(system, Segment::cs, to_register(with_rpl, descriptor));
  return true;
}

void drop_privileged_segments(System& system) {
  CoreState& state = system.state();
  for (Segment which : {Segment::es, Segment::ds, Segment::fs, Segment::gs}) {
    svm::SegmentRegister& seg = state.seg[static_cast<unsigned>(which)];
    const unsigned dpl = (seg.attributes & svm::attribute::dpl_mask) >> svm::attribute::dpl_shift;
    const bool conforming_code = (seg.attributes & 0x1C) == 0x1C;
    if (dpl < state.cpl && !conforming_code) {
      // A null selector's base stays in 64-bit mode: user space's FS and GS bases pass IRET.
      const u64 base = seg.base;
      seg = {0, 0, 0, state.long_mode() ? base : 0};
    }
  }
}

}  // namespace softsnp::cpu
