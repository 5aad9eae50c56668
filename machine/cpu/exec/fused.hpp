// A compare (or TEST, SUB, ADD, AND, INC, DEC) and the conditional branch after it as one op, the
// last of its block. Op::imm: the immediate operand in the low half (they are 32 bits at most,
// sign-extended), the distance of the target from Block::end_rip in the high half.
#pragma once

#include "machine/cpu/exec/arithmetic.hpp"
#include "machine/cpu/exec/condition.hpp"

namespace softsnp::cpu {

inline u64 fused_immediate(u64 imm, u64 distance) {
  return (imm & 0xFFFFFFFF) | distance << 32;
}

template <class T>
SOFTSNP_INLINE T low_immediate(const Op* op) {
  return static_cast<T>(static_cast<i64>(static_cast<i32>(op->imm)));
}

// Condition C after F::apply(a, b) gave result and flags, as directly as F allows.
template <unsigned C, class F, class T>
SOFTSNP_INLINE bool outcome(T a, T b, T result, const LazyFlags& flags) {
  using S = std::make_signed_t<T>;
  constexpr bool difference = std::is_same_v<F, alu::Cmp> || std::is_same_v<F, alu::Sub>;
  constexpr bool logic = std::is_same_v<F, alu::Test> || std::is_same_v<F, alu::And>;
  constexpr unsigned kind = C / 2;
  bool value = false;
  if constexpr (kind == 2) {
    value = difference ? a == b : result == 0;
  } else if constexpr (kind == 4) {
    value = alu::top_bit(result);
  } else if constexpr (difference && kind == 1) {
    value = a < b;
  } else if constexpr (difference && kind == 3) {
    value = a <= b;
  } else if constexpr (difference && kind == 6) {
    value = static_cast<S>(a) < static_cast<S>(b);
  } else if constexpr (difference && kind == 7) {
    value = static_cast<S>(a) <= static_cast<S>(b);
  } else if constexpr (logic && kind == 6) {
    value = static_cast<S>(result) < 0;
  } else if constexpr (logic && kind == 7) {
    value = static_cast<S>(result) <= 0;
  } else {
    return condition<C>(flags);
  }
  return value != (C % 2 != 0);
}

SOFTSNP_INLINE const Op* fused_branch(Core& core, const Op* op, bool taken) {
  Block* block = core.block;
  if (taken) {
    const u64 distance = static_cast<u64>(static_cast<i64>(op->imm) >> 32);
    return follow(core, block->end_rip + distance, block->taken);
  }
  return follow(core, block->end_rip, block->fall_through);
}

template <unsigned C, class F, class T>
SOFTSNP_INLINE bool apply_and_test(Core& core, T a, T b, T& result) {
  LazyFlags flags = core.state.flags;
  result = F::apply(a, b, flags);
  core.state.flags = flags;
  return outcome<C, F, T>(a, b, result, flags);
}

template <unsigned C, class F, class T>
SOFTSNP_INLINE const Op* fused_register(Core& core, const Op* op, T b) {
  T result;
  const bool taken = apply_and_test<C, F, T>(core, get_reg<T>(core, op->r0), b, result);
  if constexpr (F::writes) {
    set_reg<T>(core, op->r0, result);
  }
  return fused_branch(core, op, taken);
}
template <unsigned C, class F, class T>
const Op* op_fused_rr(Core& core, const Op* op) {
  return fused_register<C, F, T>(core, op, get_reg<T>(core, op->r1));
}
template <unsigned C, class F, class T>
const Op* op_fused_ri(Core& core, const Op* op) {
  return fused_register<C, F, T>(core, op, low_immediate<T>(op));
}
// INC, DEC.
template <unsigned C, class F, class T>
const Op* op_fused_r(Core& core, const Op* op) {
  LazyFlags flags = core.state.flags;
  const T result = F::apply(get_reg<T>(core, op->r0), flags);
  core.state.flags = flags;
  set_reg<T>(core, op->r0, result);
  return fused_branch(core, op, outcome<C, F, T>(T{0}, T{0}, result, flags));
}

// Memory is only read: CMP, TEST.
template <unsigned C, class F, class T>
struct FusedMI {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded_then<FusedMI, A, T>(core, op, [&](T a) SOFTSNP_LAMBDA_INLINE {
      T result;
      const bool taken = apply_and_test<C, F, T>(core, a, low_immediate<T>(op), result);
      return fused_branch(core, op, taken);
    });
  }
};
template <unsigned C, class F, class T>
struct FusedMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded_then<FusedMR, A, T>(core, op, [&](T a) SOFTSNP_LAMBDA_INLINE {
      T result;
      const bool taken = apply_and_test<C, F, T>(core, a, get_reg<T>(core, op->r0), result);
      return fused_branch(core, op, taken);
    });
  }
};
template <unsigned C, class F, class T>
struct FusedRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded_then<FusedRM, A, T>(core, op, [&](T b) SOFTSNP_LAMBDA_INLINE {
      T result;
      const bool taken = apply_and_test<C, F, T>(core, get_reg<T>(core, op->r0), b, result);
      return fused_branch(core, op, taken);
    });
  }
};

}  // namespace softsnp::cpu
