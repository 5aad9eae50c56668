// Handlers of MUL, IMUL, MULX, DIV, IDIV.
#pragma once

#include "machine/cpu/exec/alu_multiply.hpp"
#include "machine/cpu/exec/operands.hpp"

namespace softsnp::cpu {

// The double-width accumulator: AX for bytes, else rDX:rAX.
template <class T>
SOFTSNP_INLINE void set_wide(Core& core, T low, T high) {
  if constexpr (sizeof(T) == 1) {
    set_reg<u8>(core, gpr::al, low);
    set_reg<u8>(core, gpr::ah, high);
  } else {
    set_reg<T>(core, gpr::rax, low);
    set_reg<T>(core, gpr::rdx, high);
  }
}
template <class T>
SOFTSNP_INLINE T high_half(const Core& core) {
  return sizeof(T) == 1 ? get_reg<T>(core, gpr::ah) : get_reg<T>(core, gpr::rdx);
}

struct Mul {
  template <class T>
  static SOFTSNP_INLINE bool apply(Core& core, T b) {
    const auto product = alu::multiply(accumulator<T>(core), b, core.state.flags);
    set_wide(core, product.low, product.high);
    return true;
  }
};
struct Imul {
  template <class T>
  static SOFTSNP_INLINE bool apply(Core& core, T b) {
    const auto product = alu::multiply_signed(accumulator<T>(core), b, core.state.flags);
    set_wide(core, product.low, product.high);
    return true;
  }
};
struct Div {
  template <class T>
  static SOFTSNP_INLINE bool apply(Core& core, T b) {
    const auto result = alu::divide(high_half<T>(core), accumulator<T>(core), b);
    if (result.valid) {
      set_wide(core, result.quotient, result.remainder);
    }
    return result.valid;
  }
};
struct Idiv {
  template <class T>
  static SOFTSNP_INLINE bool apply(Core& core, T b) {
    const auto result = alu::divide_signed(high_half<T>(core), accumulator<T>(core), b);
    if (result.valid) {
      set_wide(core, result.quotient, result.remainder);
    }
    return result.valid;
  }
};

template <class F, class T>
const Op* op_wide_r(Core& core, const Op* op) {
  if (!F::apply(core, get_reg<T>(core, op->r0))) {
    return raise(core, op, x86::Vector::de);
  }
  return next(core, op);
}
template <class F, class T>
struct WideM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded_then<WideM, A, T>(core, op, [&](T b) SOFTSNP_LAMBDA_INLINE {
      return F::apply(core, b) ? next(core, op) : raise(core, op, x86::Vector::de);
    });
  }
};

// IMUL with two operands is a binary operation.
struct ImulLow {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return alu::multiply_signed_low(a, b, flags);
  }
};
template <class T>
const Op* op_imul_rri(Core& core, const Op* op) {
  const T a = get_reg<T>(core, op->r1);
  set_reg<T>(core, op->r0, alu::multiply_signed_low(a, immediate<T>(op), core.state.flags));
  return next(core, op);
}
template <class T>
struct ImulRMI {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded<ImulRMI, A, T>(core, op, [&](T a) SOFTSNP_LAMBDA_INLINE {
      set_reg<T>(core, op->r0, alu::multiply_signed_low(a, immediate<T>(op), core.state.flags));
    });
  }
};

// MULX: r0 gets the high half (also if both are the same), r1 the low one; no flags.
template <class T>
SOFTSNP_INLINE void mulx(Core& core, const Op* op, T b) {
  LazyFlags ignored;
  const auto product = alu::multiply(get_reg<T>(core, gpr::rdx), b, ignored);
  set_reg<T>(core, op->r1, product.low);
  set_reg<T>(core, op->r0, product.high);
}
template <class T>
const Op* op_mulx_rrr(Core& core, const Op* op) {
  mulx<T>(core, op, get_reg<T>(core, op->extra));
  return next(core, op);
}
template <class T>
struct MulxRRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded<MulxRRM, A, T>(core, op,
                                      [&](T b) SOFTSNP_LAMBDA_INLINE { mulx<T>(core, op, b); });
  }
};

}  // namespace softsnp::cpu
