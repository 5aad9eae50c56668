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

// Memory operands. H is the handler's struct, H::at<A> the caller; body gets the operand's value
// and does the rest. Only the general form knows the slow ways to memory: the others go there if
// the TLB has no answer, and so need no stack frame.
// body returns what the handler returns.
template <class H, Addressing A, class T, class Body>
SOFTSNP_INLINE const Op* with_loaded_then(Core& core, const Op* op, Body body, u64 more = 0) {
  const u64 linear = effective<A>(core, op, sizeof(T), Access::read, more);
  if constexpr (A == Addressing::general) {
    T value;
    if (!load<T>(core, linear, value)) {
      return fault_at(core, op);
    }
    return body(value);
  } else {
    const u8* from = known_for_read<T>(core, linear);
    if (from == nullptr) [[unlikely]] {
      return H::template at<Addressing::general>(core, op);
    }
    return body(load_le<T>(from));
  }
}
// The next op follows.
template <class H, Addressing A, class T, class Body>
SOFTSNP_INLINE const Op* with_loaded(Core& core, const Op* op, Body body, u64 more = 0) {
  const auto then = [&](T value) SOFTSNP_LAMBDA_INLINE {
    body(value);
    return next(core, op);
  };
  return with_loaded_then<H, A, T>(core, op, then, more);
}

// body(old value, flags) gives the new value. When it is called nothing can fault any more.
template <class H, Addressing A, class T, class Body>
SOFTSNP_INLINE const Op* with_changed(Core& core, const Op* op, Body body, u64 more = 0) {
  const u64 linear = effective<A>(core, op, sizeof(T), Access::write, more);
  if constexpr (A == Addressing::general) {
    T value;
    if (!load_for_write<T>(core, linear, value)) {
      return fault_at(core, op);
    }
    if (!store<T>(core, linear, body(value, core.state.flags))) {
      return fault_at(core, op);
    }
  } else {
    u8* at = known_for_change<T>(core, linear);
    if (at == nullptr) [[unlikely]] {
      return H::template at<Addressing::general>(core, op);
    }
    store_le<T>(at, body(load_le<T>(at), core.state.flags));
  }
  return next(core, op);
}

template <class H, Addressing A, class T>
SOFTSNP_INLINE const Op* with_stored(Core& core, const Op* op, T value) {
  const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
  if constexpr (A == Addressing::general) {
    if (!store<T>(core, linear, value)) {
      return fault_at(core, op);
    }
  } else {
    u8* to = known_for_write<T>(core, linear);
    if (to == nullptr) [[unlikely]] {
      return H::template at<Addressing::general>(core, op);
    }
    store_le<T>(to, value);
  }
  return next(core, op);
}

}  // namespace softsnp::cpu
