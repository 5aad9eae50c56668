// Handlers of near branches. A branch is the last op of its block: Block::end_rip is the RIP after
// it, Block::taken and Block::fall_through remember its successors.
#pragma once

#include "machine/cpu/exec/condition.hpp"
#include "machine/cpu/exec/stack.hpp"

namespace softsnp::cpu {

inline constexpr bool canonical(u64 address) {
  return static_cast<u64>(static_cast<i64>(address << 16) >> 16) == address;
}
// Targets outside the code segment or not canonical are #GP(0) at the branch (APM3, JMP).
inline bool valid_target(const Core& core, u64 target) {
  return in_code64(core) ? canonical(target)
                         : target <= core.state.seg[static_cast<u8>(x86::Segment::cs)].limit;
}
SOFTSNP_COLD const Op* bad_target(Core& core, const Op* op);
// The same of a CALL that would push size bytes: a fault of the push comes first on AMD processors.
SOFTSNP_COLD const Op* bad_call_target(Core& core, const Op* op, u32 size);

// Block that the jump cache knows for rip, or null.
SOFTSNP_INLINE Block* cached_block(Core& core, u64 rip) {
  const JumpEntry& entry = core.jumps[jump_index(rip)];
  if (entry.rip != rip || entry.context != core.context) {
    return nullptr;
  }
  __builtin_assume(entry.block != nullptr);
  return entry.block;
}

template <unsigned C>
const Op* op_jcc(Core& core, const Op* op) {
  if (condition<C>(core.state.flags)) {
    return follow(core, op->imm, core.block->taken);
  }
  return follow(core, core.block->end_rip, core.block->fall_through);
}
// With a check of the target: legacy modes, and targets that are not canonical.
template <unsigned C>
const Op* op_jcc_checked(Core& core, const Op* op) {
  if (condition<C>(core.state.flags)) {
    return valid_target(core, op->imm) ? follow(core, op->imm, core.block->taken)
                                       : bad_target(core, op);
  }
  return follow(core, core.block->end_rip, core.block->fall_through);
}

const Op* op_jmp(Core& core, const Op* op);
const Op* op_jmp_checked(Core& core, const Op* op);
const Op* op_call64(Core& core, const Op* op);
const Op* op_ret64(Core& core, const Op* op);
const Op* op_ret64_i(Core& core, const Op* op);
// RCX, ECX or CX by the address size.
const Op* op_jrcxz(Core& core, const Op* op);
enum class LoopWhile : u8 { counting, equal, not_equal };
template <LoopWhile W>
const Op* op_loop(Core& core, const Op* op);

template <class T>
const Op* op_call_rel(Core& core, const Op* op) {
  if (!valid_target(core, op->imm)) {
    return bad_call_target(core, op, sizeof(T));
  }
  if (!push_any<T>(core, static_cast<T>(core.block->end_rip))) {
    return stack_fault_at(core, op);
  }
  return follow(core, op->imm, core.block->taken);
}

// A near return of size T in any mode; the second form also drops imm bytes.
template <class T>
const Op* op_ret(Core& core, const Op* op) {
  const u64 old = core.state.gpr[gpr::rsp];
  T target{};
  if (!pop_any<T>(core, target)) {
    return stack_fault_at(core, op);
  }
  if (!valid_target(core, target)) {
    core.state.gpr[gpr::rsp] = old;
    return bad_target(core, op);
  }
  move_stack(core, op->imm & 0xFFFF);
  return jump_to(core, target);
}

template <class T>
SOFTSNP_INLINE const Op* jump_indirect(Core& core, const Op* op, T target) {
  Block* block = cached_block(core, target);
  if (block != nullptr) [[likely]] {
    return enter(core, block);
  }
  return valid_target(core, target) ? stop_lookup(core, target, nullptr) : bad_target(core, op);
}
template <class T>
SOFTSNP_INLINE const Op* call_indirect(Core& core, const Op* op, T target) {
  if (!valid_target(core, target)) [[unlikely]] {
    return bad_call_target(core, op, sizeof(T));
  }
  if (!push_any<T>(core, static_cast<T>(core.block->end_rip))) {
    return stack_fault_at(core, op);
  }
  return jump_to(core, target);
}

template <class T>
const Op* op_jmp_r(Core& core, const Op* op) {
  return jump_indirect<T>(core, op, get_reg<T>(core, op->r0));
}
template <class T>
struct JmpM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded_then<JmpM, A, T>(core, op, [&](T target) SOFTSNP_LAMBDA_INLINE {
      return jump_indirect<T>(core, op, target);
    });
  }
};
template <class T>
const Op* op_call_r(Core& core, const Op* op) {
  return call_indirect<T>(core, op, get_reg<T>(core, op->r0));
}
template <class T>
struct CallM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T target;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), target)) {
      return fault_at(core, op);
    }
    return call_indirect<T>(core, op, target);
  }
};

}  // namespace softsnp::cpu
