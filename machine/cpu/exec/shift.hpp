// Handlers of shifts and rotates. F is an operation of alu_shift.hpp.
#pragma once

#include "machine/cpu/exec/alu_shift.hpp"
#include "machine/cpu/exec/operands.hpp"

namespace softsnp::cpu {

// Where the count comes from.
enum class Count : u8 { immediate, cl };

template <Count C>
SOFTSNP_INLINE u8 shift_count(const Core& core, const Op* op) {
  return C == Count::cl ? get_reg<u8>(core, gpr::cl) : immediate<u8>(op);
}

template <class F, class T, Count C>
const Op* op_shift_r(Core& core, const Op* op) {
  const u8 count = shift_count<C>(core, op);
  set_reg<T>(core, op->r0, F::apply(get_reg<T>(core, op->r0), count, core.state.flags));
  return next(core, op);
}

template <class F, class T, Count C>
struct ShiftM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    T a;
    if (!load_for_write<T>(core, linear, a)) {
      return fault_at(core, op);
    }
    LazyFlags flags = core.state.flags;
    if (!store<T>(core, linear, F::apply(a, shift_count<C>(core, op), flags))) {
      return fault_at(core, op);
    }
    core.state.flags = flags;
    return next(core, op);
  }
};

// SHLD, SHRD.
template <class F, class T, Count C>
const Op* op_double_shift_r(Core& core, const Op* op) {
  const u8 count = shift_count<C>(core, op);
  const T a = get_reg<T>(core, op->r0);
  const T b = get_reg<T>(core, op->r1);
  set_reg<T>(core, op->r0, F::apply(a, b, count, core.state.flags));
  return next(core, op);
}

template <class F, class T, Count C>
struct DoubleShiftM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    T a;
    if (!load_for_write<T>(core, linear, a)) {
      return fault_at(core, op);
    }
    LazyFlags flags = core.state.flags;
    const T b = get_reg<T>(core, op->r0);
    if (!store<T>(core, linear, F::apply(a, b, shift_count<C>(core, op), flags))) {
      return fault_at(core, op);
    }
    core.state.flags = flags;
    return next(core, op);
  }
};

}  // namespace softsnp::cpu
