// Handlers of the two-operand and one-operand ALU instructions. F is an operation of alu.hpp.
#pragma once

#include "machine/cpu/exec/alu.hpp"
#include "machine/cpu/exec/operands.hpp"

namespace softsnp::cpu {

template <class F, class T>
const Op* op_binary_rr(Core& core, const Op* op) {
  const T result = F::apply(get_reg<T>(core, op->r0), get_reg<T>(core, op->r1), core.state.flags);
  if constexpr (F::writes) {
    set_reg<T>(core, op->r0, result);
  }
  return next(core, op);
}

template <class F, class T>
const Op* op_binary_ri(Core& core, const Op* op) {
  const T result = F::apply(get_reg<T>(core, op->r0), immediate<T>(op), core.state.flags);
  if constexpr (F::writes) {
    set_reg<T>(core, op->r0, result);
  }
  return next(core, op);
}

template <class F, class T>
struct BinaryRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded<BinaryRM, A, T>(core, op, [&](T b) SOFTSNP_LAMBDA_INLINE {
      const T result = F::apply(get_reg<T>(core, op->r0), b, core.state.flags);
      if constexpr (F::writes) {
        set_reg<T>(core, op->r0, result);
      }
    });
  }
};

// Destination in memory: read, then written if F writes.
template <class H, Addressing A, class F, class T>
SOFTSNP_INLINE const Op* binary_memory(Core& core, const Op* op, T b) {
  if constexpr (F::writes) {
    return with_changed<H, A, T>(core, op, [&](T a, LazyFlags& flags) SOFTSNP_LAMBDA_INLINE {
      return F::apply(a, b, flags);
    });
  } else {
    return with_loaded<H, A, T>(
        core, op, [&](T a) SOFTSNP_LAMBDA_INLINE { F::apply(a, b, core.state.flags); });
  }
}
template <class F, class T>
struct BinaryMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return binary_memory<BinaryMR, A, F, T>(core, op, get_reg<T>(core, op->r0));
  }
};
template <class F, class T>
struct BinaryMI {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return binary_memory<BinaryMI, A, F, T>(core, op, immediate<T>(op));
  }
};

template <class F, class T>
const Op* op_unary_r(Core& core, const Op* op) {
  set_reg<T>(core, op->r0, F::apply(get_reg<T>(core, op->r0), core.state.flags));
  return next(core, op);
}

template <class F, class T>
struct UnaryM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_changed<UnaryM, A, T>(
        core, op, [](T a, LazyFlags& flags) SOFTSNP_LAMBDA_INLINE { return F::apply(a, flags); });
  }
};

// XADD: the sum goes to the first operand, its old value to the second (which wins if both are the
// same register: the sum is written last).
template <class T>
const Op* op_xadd_rr(Core& core, const Op* op) {
  const T a = get_reg<T>(core, op->r0);
  const T b = get_reg<T>(core, op->r1);
  set_reg<T>(core, op->r1, a);
  set_reg<T>(core, op->r0, alu::Add::apply(a, b, core.state.flags));
  return next(core, op);
}
template <class T>
struct XaddMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_changed<XaddMR, A, T>(core, op, [&](T a, LazyFlags& flags) SOFTSNP_LAMBDA_INLINE {
      const T sum = alu::Add::apply(a, get_reg<T>(core, op->r0), flags);
      set_reg<T>(core, op->r0, a);
      return sum;
    });
  }
};

// CMPXCHG: the destination is written in either case (APM3); only one of the registers is.
template <class T>
const Op* op_cmpxchg_rr(Core& core, const Op* op) {
  const T destination = get_reg<T>(core, op->r0);
  alu::Cmp::apply(accumulator<T>(core), destination, core.state.flags);
  if (core.state.flags.zf()) {
    set_reg<T>(core, op->r0, get_reg<T>(core, op->r1));
  } else {
    set_accumulator<T>(core, destination);
  }
  return next(core, op);
}
template <class T>
struct CmpxchgMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_changed<CmpxchgMR, A, T>(
        core, op, [&](T destination, LazyFlags& flags) SOFTSNP_LAMBDA_INLINE {
          alu::Cmp::apply(accumulator<T>(core), destination, flags);
          if (flags.zf()) {
            return get_reg<T>(core, op->r0);
          }
          set_accumulator<T>(core, destination);
          return destination;
        });
  }
};

// CMPXCHG8B, CMPXCHG16B: T is half of the operand; only ZF changes.
template <class T>
struct CmpxchgPair {
  struct Halves {
    T low, high;
    bool operator==(const Halves&) const = default;
  };
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 linear = effective<A>(core, op, sizeof(Halves), Access::write);
    if (sizeof(T) == 8 && (linear & 15) != 0 && linear != refused_linear) {
      return raise_error(core, op, x86::Vector::gp, 0);
    }
    Halves old;
    if (!load_for_write<Halves>(core, linear, old)) {
      return fault_at(core, op);
    }
    const Halves expected = {get_reg<T>(core, gpr::rax), get_reg<T>(core, gpr::rdx)};
    const Halves wanted = {get_reg<T>(core, gpr::rbx), get_reg<T>(core, gpr::rcx)};
    const bool equal = old == expected;
    if (!store<Halves>(core, linear, equal ? wanted : old)) {
      return fault_at(core, op);
    }
    if (!equal) {
      set_reg<T>(core, gpr::rax, old.low);
      set_reg<T>(core, gpr::rdx, old.high);
    }
    const u64 status = core.state.flags.pack() & ~x86::rflags::zf;
    core.state.flags.unpack(status | (equal ? x86::rflags::zf : 0));
    return next(core, op);
  }
};

}  // namespace softsnp::cpu
