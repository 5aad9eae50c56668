// x87 and MMX state on FxState, and the handlers. APM volume 5 (26569), volume 1 chapter 6.
#pragma once

#include "machine/cpu/exec/host_fp.hpp"
#include "machine/cpu/exec/memory.hpp"

namespace softsnp::cpu::x87 {

// FSW, APM1 6.2.2; FCW 6.2.3.
namespace fsw {
inline constexpr u16 exceptions = 0x3F, stack_fault = 0x40, summary = 0x80, busy = 0x8000,
                     top_mask = 7 << 11;
inline constexpr unsigned top_shift = 11;
}  // namespace fsw
namespace fcw {
// Bits that can be written; bit 6 reads as one.
inline constexpr u16 writable = 0x1F7F, fixed = 0x40, masks = 0x3F, initial = 0x37F;
}  // namespace fcw

inline unsigned top(const FxState& fx) {
  return (fx.fsw & fsw::top_mask) >> fsw::top_shift;
}
// An exception that FCW does not mask is recorded.
inline bool pending(const FxState& fx) {
  return (fx.fsw & ~fx.fcw & fsw::exceptions) != 0;
}
// ES and B follow the flags and their masks.
void update_summary(FxState& fx);
void set_control(FxState& fx, u16 value);
void set_status(FxState& fx, u16 value);
// TOP changes, the registers stay where they are: st[] is in stack order.
void set_top(FxState& fx, unsigned top);
// The two-bit tags of all eight registers, in register order.
u16 full_tags(const FxState& fx);
void set_full_tags(FxState& fx, u16 tags);
// FNINIT.
void initialise(FxState& fx);

// #NM, or a pending #MF with CR0.NE = 1. With CR0.NE = 0 the exception is signalled by FERR# to the
// interrupt controller on hardware; no machine here wires it: such an exception stays recorded and
// the instruction runs as under IGNNE#.
enum class Waiting : u8 { no, yes };
const Op* refuse(Core& core, const Op* op, Waiting waiting);
inline bool refused(const Core& core, Waiting waiting) {
  return (core.state.cr0 & (x86::cr0::em | x86::cr0::ts)) != 0 ||
         (waiting == Waiting::yes && pending(core.state.fx) &&
          (core.state.cr0 & x86::cr0::ne) != 0);
}

// FOP of op: opcode bits 2:0 and ModRM.
unsigned opcode_of(const Core& core, const Op* op);
// fip, fcs and fop become op's.
void note_instruction(Core& core, const Op* op, unsigned opcode);

// Work that passes addresses of locals is done out of line by workers: a handler with such locals
// could not end in a tail call. A worker says whether the instruction is complete; if not, it has
// stopped the core, and ends in stopped().
inline bool stopped(const Op*) {
  return false;
}
SOFTSNP_INLINE const Op* finish(Core& core, const Op* op, bool complete) {
  return complete ? next(core, op) : nullptr;
}

// A register form that computes.
const Op* compute_register(Core& core, const Op* op);
// A memory form of any kind. linear: of the operand; offset: within its segment.
struct Operand {
  u32 size;
  Access access;
};
Operand operand_of(const Core& core, const Op* op);
SOFTSNP_COLD bool memory_form(Core& core, const Op* op, u64 linear, u64 offset);
struct Memory {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const Operand operand = operand_of(core, op);
    const u64 linear = effective<A>(core, op, operand.size, operand.access);
    return finish(core, op, memory_form(core, op, linear, offset_of<A>(core, op)));
  }
};

// FLDCW, FNSTCW, FNSTSW, FLDENV, FNSTENV, FRSTOR, FNSAVE.
bool load_control(Core& core, const Op* op, u64 linear);
bool store_control(Core& core, const Op* op, u64 linear);
bool store_status(Core& core, const Op* op, u64 linear);
bool load_environment(Core& core, const Op* op, u64 linear);
bool store_environment(Core& core, const Op* op, u64 linear);
bool restore(Core& core, const Op* op, u64 linear);
bool save(Core& core, const Op* op, u64 linear);
u32 environment_bytes(const Core& core, const Op* op);

const Op* fnstsw_ax(Core& core, const Op* op);
const Op* fninit(Core& core, const Op* op);
const Op* fnclex(Core& core, const Op* op);
const Op* fwait(Core& core, const Op* op);
// FENI, FDISI, FSETPM: nothing since the 387.
const Op* ignored(Core& core, const Op* op);

}  // namespace softsnp::cpu::x87
