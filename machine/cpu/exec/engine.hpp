// How one op follows another: threaded by tail calls where the compiler can be relied on, a loop
// otherwise; entering blocks, chaining, stopping. All handlers end in one of these.
#pragma once

#include "machine/cpu/exec/core.hpp"

namespace softsnp::cpu {

#if defined(NDEBUG) && !__has_feature(address_sanitizer)
inline constexpr bool threaded = true;
#else
inline constexpr bool threaded = false;
#endif

#define SOFTSNP_INLINE inline __attribute__((always_inline))
// For every lambda in a handler: one that is not inlined would keep the frame, and the chain of
// tail calls would eat the stack.
#define SOFTSNP_LAMBDA_INLINE __attribute__((always_inline))
#define SOFTSNP_COLD __attribute__((noinline, cold))

// The op after this one.
SOFTSNP_INLINE const Op* next(Core& core, const Op* op) {
  if constexpr (threaded) {
    return op[1].fn(core, op + 1);
  } else {
    return op + 1;
  }
}

// RIP of the instruction that op is (its first byte, linear minus CS base).
u64 rip_of(const Core& core, const Op* op);

// Stops at op as if it had not begun: RIP and the instruction count point at it.
SOFTSNP_COLD const Op* stop_at(Core& core, const Op* op, Stop why);
// A memory access of op failed: core.fault is set. #GP(0) of a non-canonical address becomes #SS(0)
// if the operand's segment (or, in the second form, the accessed one) is SS (APM2 8.2.13).
SOFTSNP_COLD const Op* fault_at(Core& core, const Op* op);
SOFTSNP_COLD const Op* stack_fault_at(Core& core, const Op* op);
// Raises an exception at op.
SOFTSNP_COLD const Op* raise(Core& core, const Op* op, x86::Vector vector);
SOFTSNP_COLD const Op* raise_error(Core& core, const Op* op, x86::Vector vector, u32 error_code);
// Budget ran out on entry to block: nothing of it ran.
SOFTSNP_COLD const Op* stop_budget(Core& core, Block* block);
// No block is known for rip; link is where the answer goes (may be null).
SOFTSNP_COLD const Op* stop_lookup(Core& core, u64 rip, Link* link);
// Stops behind op, which is complete and not the last of its block.
SOFTSNP_COLD const Op* stop_after(Core& core, const Op* op, Stop why);
// Stops behind the block, all of which has run.
SOFTSNP_COLD const Op* stop_at_end(Core& core, Stop why);
// Handler of machine/cpu/system instructions.
const Op* op_system(Core& core, const Op* op);
// Handler of encodings that raise #UD; of instructions longer than 15 bytes (#GP).
const Op* op_undefined(Core& core, const Op* op);
const Op* op_too_long(Core& core, const Op* op);
// Opening op of a block where memory operands are counted: imm of them are in the block. Its OpInfo
// counts as the first instruction.
const Op* op_count_memory_operands(Core& core, const Op* op);
// Closing op of a block that ends without a branch. Its OpInfo counts as the next instruction.
const Op* op_fall_through(Core& core, const Op* op);
// Handler put over the rest of a block whose code was overwritten while it runs.
const Op* op_stale(Core& core, const Op* op);

// Runs block from its start.
SOFTSNP_INLINE const Op* enter(Core& core, Block* block) {
  core.budget -= block->instruction_count;
  if (core.budget < 0) [[unlikely]] {
    return stop_budget(core, block);
  }
  core.block = block;
  const Op* first = block->ops;
  if constexpr (threaded) {
    return first->fn(core, first);
  } else {
    return first;
  }
}

// Continues at rip (within CS) through a remembered link.
SOFTSNP_INLINE const Op* follow(Core& core, u64 rip, Link& link) {
  if (link.context == core.context) [[likely]] {
    return enter(core, link.block);
  }
  return stop_lookup(core, rip, &link);
}

// Continues at a computed rip through the jump cache.
SOFTSNP_INLINE const Op* jump_to(Core& core, u64 rip) {
  const JumpEntry& entry = core.jumps[jump_index(rip)];
  if (entry.rip == rip && entry.context == core.context) [[likely]] {
    return enter(core, entry.block);
  }
  return stop_lookup(core, rip, nullptr);
}

// Runs from block until the executor stops.
void run(Core& core, Block* block);

}  // namespace softsnp::cpu
