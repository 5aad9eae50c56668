#include "machine/cpu/exec/privileged.hpp"

#include "machine/cpu/exec/branch.hpp"

namespace softsnp::cpu {
namespace {

namespace rflags = x86::rflags;

unsigned io_privilege(const Core& core) {
  return static_cast<unsigned>((core.state.system_flags & rflags::iopl) >> 12);
}

// APM3, POPF: IOPL changes at CPL 0 only, IF up to IOPL.
u64 changeable_flags(const Core& core) {
  u64 mask = rflags::status | rflags::tf | rflags::df | rflags::nt | rflags::ac | rflags::id;
  if (core.state.cpl == 0) {
    mask |= rflags::iopl | rflags::if_;
  } else if (core.state.cpl <= io_privilege(core)) {
    mask |= rflags::if_;
  }
  return mask;
}

}  // namespace

template <class T>
const Op* op_pushf(Core& core, const Op* op) {
  if (core.flags_instructions_slow) {
    return op_system(core, op);
  }
  const u64 value = core.state.rflags() & ~(rflags::vm | rflags::rf);
  if (!push_any<T>(core, static_cast<T>(value))) {
    return stack_fault_at(core, op);
  }
  return next(core, op);
}
template const Op* op_pushf<u16>(Core&, const Op*);
template const Op* op_pushf<u32>(Core&, const Op*);
template const Op* op_pushf<u64>(Core&, const Op*);

// AC belongs to the TLB mode, TF makes a trap: not here.
template <class T>
const Op* op_popf(Core& core, const Op* op) {
  if (core.flags_instructions_slow) {
    return op_system(core, op);
  }
  const u64 rsp = core.state.gpr[gpr::rsp];
  T value{};
  if (!pop_any<T>(core, value)) {
    return stack_fault_at(core, op);
  }
  const u64 mask = changeable_flags(core) & static_cast<T>(~T{0});
  const u64 old = core.state.system_flags;
  const u64 wanted = ((old & ~mask) | (value & mask)) & ~rflags::rf;
  if (((wanted ^ old) & rflags::ac) != 0 || ((wanted | old) & rflags::tf) != 0) {
    core.state.gpr[gpr::rsp] = rsp;
    return op_system(core, op);
  }
  core.state.set_rflags(wanted);
  if (core.event_pending && (wanted & ~old & rflags::if_) != 0) {
    return stop_after(core, op, Stop::event);
  }
  return next(core, op);
}
template const Op* op_popf<u16>(Core&, const Op*);
template const Op* op_popf<u32>(Core&, const Op*);
template const Op* op_popf<u64>(Core&, const Op*);

const Op* op_cli(Core& core, const Op* op) {
  if (core.flags_instructions_slow || core.state.cpl > io_privilege(core)) {
    return op_system(core, op);
  }
  core.state.system_flags &= ~rflags::if_;
  return next(core, op);
}

// Ends its block: the next instruction runs in the interrupt shadow (APM3, STI).
const Op* op_sti(Core& core, const Op* op) {
  if (core.flags_instructions_slow || core.state.cpl > io_privilege(core)) {
    return op_system(core, op);
  }
  if ((core.state.system_flags & rflags::if_) != 0) {
    return op_fall_through(core, op);
  }
  core.state.system_flags |= rflags::if_;
  core.state.interrupt_shadow = true;
  return stop_at_end(core, Stop::event);
}

const Op* op_swapgs(Core& core, const Op* op) {
  if (core.state.cpl != 0) {
    return op_system(core, op);
  }
  svm::SegmentRegister& gs = core.state.seg[static_cast<u8>(x86::Segment::gs)];
  const u64 base = core.state.kernel_gs_base;
  core.state.kernel_gs_base = gs.base;
  gs.base = base;
  core.seg_base[static_cast<u8>(x86::Segment::gs)] = base;
  return next(core, op);
}

template <x86::Segment S, class T>
const Op* op_read_base(Core& core, const Op* op) {
  if ((core.state.cr4 & x86::cr4::fsgsbase) == 0) {
    return op_system(core, op);
  }
  set_reg<T>(core, op->r0, static_cast<T>(core.state.seg[static_cast<u8>(S)].base));
  return next(core, op);
}

template <x86::Segment S, class T>
const Op* op_write_base(Core& core, const Op* op) {
  const u64 base = get_reg<T>(core, op->r0);
  if ((core.state.cr4 & x86::cr4::fsgsbase) == 0 || !canonical(base)) {
    return op_system(core, op);
  }
  core.state.seg[static_cast<u8>(S)].base = base;
  core.seg_base[static_cast<u8>(S)] = base;
  return next(core, op);
}

#define SOFTSNP_BASE_SIZE(T)                                               \
  template const Op* op_read_base<x86::Segment::fs, T>(Core&, const Op*);  \
  template const Op* op_read_base<x86::Segment::gs, T>(Core&, const Op*);  \
  template const Op* op_write_base<x86::Segment::fs, T>(Core&, const Op*); \
  template const Op* op_write_base<x86::Segment::gs, T>(Core&, const Op*);
SOFTSNP_BASE_SIZE(u32)
SOFTSNP_BASE_SIZE(u64)
#undef SOFTSNP_BASE_SIZE

}  // namespace softsnp::cpu
