// Handlers of PUSH, POP, PUSHA, POPA, ENTER, LEAVE.
#pragma once

#include "machine/cpu/exec/stack.hpp"

namespace softsnp::cpu {

// Any mode.
template <class T>
const Op* op_push_r(Core& core, const Op* op) {
  if (!push_any<T>(core, get_reg<T>(core, op->r0))) {
    return stack_fault_at(core, op);
  }
  return next(core, op);
}
template <class T>
const Op* op_push_i(Core& core, const Op* op) {
  if (!push_any<T>(core, immediate<T>(op))) {
    return stack_fault_at(core, op);
  }
  return next(core, op);
}
template <class T>
const Op* op_push_segment(Core& core, const Op* op) {
  if (!push_any<T>(core, core.state.seg[op->r0].selector)) {
    return stack_fault_at(core, op);
  }
  return next(core, op);
}
template <class T>
const Op* op_pop_r(Core& core, const Op* op) {
  T value{};
  if (!pop_any<T>(core, value)) {
    return stack_fault_at(core, op);
  }
  set_reg<T>(core, op->r0, value);
  return next(core, op);
}
// 64-bit code: the fast forms.
template <class T>
const Op* op_push_r64(Core& core, const Op* op) {
  const u64 top = core.state.gpr[gpr::rsp] - sizeof(T);
  u8* to = known_for_write<T>(core, top);
  if (to == nullptr) [[unlikely]] {
    return op_push_r<T>(core, op);
  }
  store_le<T>(to, get_reg<T>(core, op->r0));
  core.state.gpr[gpr::rsp] = top;
  return next(core, op);
}
template <class T>
const Op* op_pop_r64(Core& core, const Op* op) {
  const u64 top = core.state.gpr[gpr::rsp];
  const u8* from = known_for_read<T>(core, top);
  if (from == nullptr) [[unlikely]] {
    return op_pop_r<T>(core, op);
  }
  core.state.gpr[gpr::rsp] = top + sizeof(T);
  set_reg<T>(core, op->r0, load_le<T>(from));
  return next(core, op);
}

template <class T>
struct PushM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T value;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), value)) {
      return fault_at(core, op);
    }
    if (!push_any<T>(core, value)) {
      return stack_fault_at(core, op);
    }
    return next(core, op);
  }
};
// The destination's address is formed with the stack pointer already moved (APM3, POP).
template <class T>
struct PopM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 old = core.state.gpr[gpr::rsp];
    T value{};
    if (!pop_any<T>(core, value)) {
      return stack_fault_at(core, op);
    }
    if (!store<T>(core, effective<A>(core, op, sizeof(T), Access::write), value)) {
      core.state.gpr[gpr::rsp] = old;
      return fault_at(core, op);
    }
    return next(core, op);
  }
};

const Op* op_leave64(Core& core, const Op* op);
template <class T>
const Op* op_leave(Core& core, const Op* op);
template <class T>
const Op* op_enter(Core& core, const Op* op);
template <class T>
const Op* op_pusha(Core& core, const Op* op);
template <class T>
const Op* op_popa(Core& core, const Op* op);

}  // namespace softsnp::cpu
