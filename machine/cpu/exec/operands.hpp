// Register operands of handlers, by the numbers an Op holds.
#pragma once

#include "machine/cpu/exec/memory.hpp"

namespace softsnp::cpu {

// 8-bit registers are byte offsets in CoreState::gpr (Op).
template <class T>
SOFTSNP_INLINE T get_reg(const Core& core, u8 number) {
  if constexpr (sizeof(T) == 1) {
    return reinterpret_cast<const u8*>(core.state.gpr)[number];
  } else {
    return static_cast<T>(core.state.gpr[number]);
  }
}

// 32-bit results clear the upper half; 8- and 16-bit results leave the rest.
template <class T>
SOFTSNP_INLINE void set_reg(Core& core, u8 number, T value) {
  if constexpr (sizeof(T) == 1) {
    reinterpret_cast<u8*>(core.state.gpr)[number] = value;
  } else if constexpr (sizeof(T) == 2) {
    store_le<u16>(&core.state.gpr[number], value);
  } else {
    core.state.gpr[number] = value;
  }
}

// The implied registers.
namespace gpr {
inline constexpr u8 rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7;
inline constexpr u8 al = 0, cl = 8, ah = 1;
}  // namespace gpr

template <class T>
SOFTSNP_INLINE T accumulator(const Core& core) {
  return static_cast<T>(core.state.gpr[gpr::rax]);
}
template <class T>
SOFTSNP_INLINE void set_accumulator(Core& core, T value) {
  set_reg<T>(core, gpr::rax, value);
}

// Immediate operand of the operand's size.
template <class T>
SOFTSNP_INLINE T immediate(const Op* op) {
  return static_cast<T>(op->imm);
}

}  // namespace softsnp::cpu
