// Handlers of bit tests, scans, BMI1/2, BSWAP, MOVBE, CRC32. F is an operation of alu_bit.hpp.
#pragma once

#include "machine/cpu/exec/alu_bit.hpp"
#include "machine/cpu/exec/operands.hpp"

namespace softsnp::cpu {

template <class F, class T>
const Op* op_bit_test_rr(Core& core, const Op* op) {
  const T index = get_reg<T>(core, op->r1);
  const T result = alu::bit_test<F>(get_reg<T>(core, op->r0), index, core.state.flags);
  if constexpr (F::writes) {
    set_reg<T>(core, op->r0, result);
  }
  return next(core, op);
}

template <class F, class T>
const Op* op_bit_test_ri(Core& core, const Op* op) {
  const T result = alu::bit_test<F>(get_reg<T>(core, op->r0), op->imm, core.state.flags);
  if constexpr (F::writes) {
    set_reg<T>(core, op->r0, result);
  }
  return next(core, op);
}

template <class F, class T>
SOFTSNP_INLINE const Op* bit_test_memory(Core& core, const Op* op, u64 linear, u64 index) {
  T a;
  if constexpr (F::writes) {
    if (!load_for_write<T>(core, linear, a)) {
      return fault_at(core, op);
    }
    LazyFlags flags = core.state.flags;
    if (!store<T>(core, linear, alu::bit_test<F>(a, index, flags))) {
      return fault_at(core, op);
    }
    core.state.flags = flags;
  } else {
    if (!load<T>(core, linear, a)) {
      return fault_at(core, op);
    }
    alu::bit_test<F>(a, index, core.state.flags);
  }
  return next(core, op);
}

template <class F>
inline constexpr Access bit_test_access = F::writes ? Access::write : Access::read;

template <class F, class T>
struct BitTestMI {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 linear = effective<A>(core, op, sizeof(T), bit_test_access<F>);
    return bit_test_memory<F, T>(core, op, linear, op->imm);
  }
};

// The index is signed and reaches beyond the operand (APM3, BT).
template <class F, class T>
struct BitTestMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 index = alu::sign_extend(get_reg<T>(core, op->r0));
    const i64 element = static_cast<i64>(index) >> (sizeof(T) == 8 ? 6 : sizeof(T) == 4 ? 5 : 4);
    const u64 more = static_cast<u64>(element) * sizeof(T);
    const u64 linear = effective<A>(core, op, sizeof(T), bit_test_access<F>, more);
    return bit_test_memory<F, T>(core, op, linear, index);
  }
};

// Destination register from one source.
template <class F, class T>
SOFTSNP_INLINE void scan(Core& core, const Op* op, T source) {
  const T result = F::apply(source, core.state.flags);
  if (!F::keeps_destination(source)) {
    set_reg<T>(core, op->r0, result);
  }
}
template <class F, class T>
const Op* op_scan_rr(Core& core, const Op* op) {
  scan<F, T>(core, op, get_reg<T>(core, op->r1));
  return next(core, op);
}
template <class F, class T>
struct ScanRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T source;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), source)) {
      return fault_at(core, op);
    }
    scan<F, T>(core, op, source);
    return next(core, op);
  }
};

// Three operands, the last one (r/m) the second source: ANDN, PDEP, PEXT.
template <class F, class T>
const Op* op_bmi_rrr(Core& core, const Op* op) {
  const T a = get_reg<T>(core, op->r1);
  const T b = get_reg<T>(core, op->extra);
  set_reg<T>(core, op->r0, F::apply(a, b, core.state.flags));
  return next(core, op);
}
template <class F, class T>
struct BmiRRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T b;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), b)) {
      return fault_at(core, op);
    }
    set_reg<T>(core, op->r0, F::apply(get_reg<T>(core, op->r1), b, core.state.flags));
    return next(core, op);
  }
};
// The middle one (r/m) the first source: BEXTR, BZHI, SHLX, SHRX, SARX.
template <class F, class T>
struct BmiRMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T a;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), a)) {
      return fault_at(core, op);
    }
    set_reg<T>(core, op->r0, F::apply(a, get_reg<T>(core, op->r1), core.state.flags));
    return next(core, op);
  }
};

template <class T>
SOFTSNP_INLINE T rotate_right(T a, u64 count) {
  constexpr unsigned mask = sizeof(T) * 8 - 1;
  const unsigned by = static_cast<unsigned>(count) & mask;
  return static_cast<T>(a >> by | a << ((0 - by) & mask));
}
template <class T>
const Op* op_rorx_rri(Core& core, const Op* op) {
  set_reg<T>(core, op->r0, rotate_right(get_reg<T>(core, op->r1), op->imm));
  return next(core, op);
}
template <class T>
struct RorxRMI {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T a;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), a)) {
      return fault_at(core, op);
    }
    set_reg<T>(core, op->r0, rotate_right(a, op->imm));
    return next(core, op);
  }
};

template <class F, class T>
const Op* op_carry_add_rr(Core& core, const Op* op) {
  const T a = get_reg<T>(core, op->r0);
  set_reg<T>(core, op->r0, F::apply(a, get_reg<T>(core, op->r1), core.state.flags));
  return next(core, op);
}
template <class F, class T>
struct CarryAddRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T b;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), b)) {
      return fault_at(core, op);
    }
    set_reg<T>(core, op->r0, F::apply(get_reg<T>(core, op->r0), b, core.state.flags));
    return next(core, op);
  }
};

// BSWAP of a 16-bit register is undefined; AMD processors clear it.
template <class T>
const Op* op_bswap(Core& core, const Op* op) {
  const T a = get_reg<T>(core, op->r0);
  set_reg<T>(core, op->r0, sizeof(T) == 2 ? T{0} : alu::byte_swap(a));
  return next(core, op);
}

template <class T>
struct MovbeRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T value;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), value)) {
      return fault_at(core, op);
    }
    set_reg<T>(core, op->r0, alu::byte_swap(value));
    return next(core, op);
  }
};
template <class T>
struct MovbeMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    if (!store<T>(core, linear, alu::byte_swap(get_reg<T>(core, op->r0)))) {
      return fault_at(core, op);
    }
    return next(core, op);
  }
};

template <class T>
const Op* op_crc32_rr(Core& core, const Op* op) {
  const u32 crc = get_reg<u32>(core, op->r0);
  set_reg<u32>(core, op->r0, alu::crc32c(crc, get_reg<T>(core, op->r1)));
  return next(core, op);
}
template <class T>
struct Crc32RM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T data;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), data)) {
      return fault_at(core, op);
    }
    set_reg<u32>(core, op->r0, alu::crc32c(get_reg<u32>(core, op->r0), data));
    return next(core, op);
  }
};

}  // namespace softsnp::cpu
