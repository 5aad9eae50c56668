// IRET in all modes. APM2 8.6-8.9, APM3 IRET.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

using x86::Gpr;
using x86::Segment;

struct Image {
  u64 rip = 0, cs = 0, flags = 0;
};

bool pop_image(System& system, StackView& stack, unsigned bits, Image& image) {
  return pop(system, stack, bits, image.rip) && pop(system, stack, bits, image.cs) &&
         pop(system, stack, bits, image.flags);
}

// RFLAGS from an image: what CPL and operand size let through. cpl: before the return.
void load_flags(System& system, u64 image, unsigned bits, u8 cpl) {
  CoreState& s = system.state();
  namespace f = x86::rflags;
  u64 writable = f::status | f::tf | f::df | f::nt;
  if (bits != 16) {
    writable |= f::rf | f::ac | f::id;
  }
  const u64 old = s.rflags();
  if (cpl <= get_bits(old, 13, 12)) {
    writable |= f::if_;
  }
  if (cpl == 0) {
    writable |= f::iopl;
    writable |= bits != 16 ? f::vif | f::vip : 0;
  }
  u64 value = (old & ~writable) | (image & writable);
  s.set_rflags(value);
  // RF only matters to an armed breakpoint, and only then is each instruction run alone, so that
  // it is cleared behind the next one.
  if (!system.stepping()) {
    s.system_flags &= ~f::rf;
  }
}

void finish(System& system, u64 rip) {
  CoreState& s = system.state();
  s.rip = rip;
  s.nmi_masked = false;
  system.mode_changed();
}

Step iret_real(System& system, unsigned bits) {
  CoreState& s = system.state();
  if (s.v8086() && get_bits(s.system_flags, 13, 12) != 3) {
    return system.raise_gp();
  }
  StackView stack = current_stack(system);
  Image image;
  if (!pop_image(system, stack, bits, image)) {
    return Step::fault;
  }
  commit(system, stack);
  // v8086 mode may not change IOPL: CPL is 3 there.
  load_flags(system, image.flags, bits, s.cpl);
  load_real_segment(system, Segment::cs, static_cast<u16>(image.cs));
  finish(system, image.rip & 0xFFFFFFFF);
  return Step::jumped;
}

// From CPL 0 to virtual-8086 mode: ESP, SS, ES, DS, FS, GS follow on the stack.
Step iret_to_v8086(System& system, StackView& stack, const Image& image) {
  CoreState& s = system.state();
  u64 value[6] = {};
  for (u64& v : value) {
    if (!pop(system, stack, 32, v)) {
      return Step::fault;
    }
  }
  s.set_rflags(image.flags & 0x3F7FD5);
  s.cpl = 3;
  constexpr Segment order[] = {Segment::ss, Segment::es, Segment::ds, Segment::fs, Segment::gs};
  for (unsigned i = 0; i < 5; ++i) {
    load_real_segment(system, order[i], static_cast<u16>(value[i + 1]));
  }
  load_real_segment(system, Segment::cs, static_cast<u16>(image.cs));
  reg(system, Gpr::rsp) = value[0];
  finish(system, image.rip & 0xFFFF);
  return Step::jumped;
}

Step iret_protected(System& system, unsigned bits) {
  CoreState& s = system.state();
  const u8 old_cpl = s.cpl;
  StackView stack = current_stack(system);
  Image image;
  if (!pop_image(system, stack, bits, image)) {
    return Step::fault;
  }
  if (!s.long_mode() && bits == 32 && old_cpl == 0 && (image.flags & x86::rflags::vm) != 0) {
    return iret_to_v8086(system, stack, image);
  }
  const u16 cs = static_cast<u16>(image.cs);
  const u8 cpl = selector::rpl(cs);
  const bool switches = s.code64() || cpl != old_cpl;
  u64 rsp = 0;
  u64 ss_sel = 0;
  if (switches && (!pop(system, stack, bits, rsp) || !pop(system, stack, bits, ss_sel))) {
    return Step::fault;
  }
  Descriptor d;
  svm::SegmentRegister ss = s.seg[2];
  if (!read_return_code(system, cs, image.rip, d) ||
      (switches && !check_return_stack(system, static_cast<u16>(ss_sel), cpl, d.long_mode(), ss)) ||
      !load_code_segment(system, cs, d, cpl)) {
    return Step::fault;
  }
  load_flags(system, image.flags, bits, old_cpl);
  s.cpl = cpl;
  if (switches) {
    s.seg[2] = ss;
    const bool wide = d.long_mode() && s.long_mode();
    const bool big = (ss.attributes & svm::attribute::default_big) != 0;
    u64& to = reg(system, Gpr::rsp);
    to = wide ? rsp : big ? static_cast<u32>(rsp) : (to & ~u64{0xFFFF}) | (rsp & 0xFFFF);
  } else {
    commit(system, stack);
  }
  if (cpl > old_cpl) {
    drop_privileged_segments(system);
  }
  finish(system, image.rip);
  return Step::jumped;
}

}  // namespace

namespace handlers {

Step iret(System& system, const Instruction& in) {
  const CoreState& s = system.state();
  if (system.intercepts(svm::ExitCode::iret)) {
    return system.intercept(svm::ExitCode::iret);
  }
  const unsigned bits = in.info.operand_bits;
  if (!s.protected_mode() || s.v8086()) {
    return iret_real(system, bits);
  }
  // NT set: a task return, gone in long mode and not built for legacy mode.
  if ((s.system_flags & x86::rflags::nt) != 0) {
    return system.raise_gp();
  }
  return iret_protected(system, bits);
}

}  // namespace handlers
}  // namespace softsnp::cpu
