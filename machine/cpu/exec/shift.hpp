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
    return with_changed<ShiftM, A, T>(core, op, [&](T a, LazyFlags& flags) SOFTSNP_LAMBDA_INLINE {
      return F::apply(a, shift_count<C>(core, op), flags);
    });
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
    return with_changed<DoubleShiftM, A, T>(
        core, op, [&](T a, LazyFlags& flags) SOFTSNP_LAMBDA_INLINE {
          return F::apply(a, get_reg<T>(core, op->r0), shift_count<C>(core, op), flags);
        });
  }
};

}  // namespace softsnp::cpu
