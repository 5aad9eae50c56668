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

template <class H, Addressing A, class F, class T>
SOFTSNP_INLINE const Op* bit_test_memory(Core& core, const Op* op, u64 index, u64 more) {
  if constexpr (F::writes) {
    return with_changed<H, A, T>(
        core, op,
        [&](T a, LazyFlags& flags)
            SOFTSNP_LAMBDA_INLINE { return alu::bit_test<F>(a, index, flags); },
        more);
  } else {
    return with_loaded<H, A, T>(
        core, op, [&](T a) SOFTSNP_LAMBDA_INLINE { alu::bit_test<F>(a, index, core.state.flags); },
        more);
  }
}

template <class F, class T>
struct BitTestMI {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return bit_test_memory<BitTestMI, A, F, T>(core, op, op->imm, 0);
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
    return bit_test_memory<BitTestMR, A, F, T>(core, op, index, more);
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
    return with_loaded<ScanRM, A, T>(
        core, op, [&](T source) SOFTSNP_LAMBDA_INLINE { scan<F, T>(core, op, source); });
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
    return with_loaded<BmiRRM, A, T>(core, op, [&](T b) SOFTSNP_LAMBDA_INLINE {
      set_reg<T>(core, op->r0, F::apply(get_reg<T>(core, op->r1), b, core.state.flags));
    });
  }
};
// The middle one (r/m) the first source: BEXTR, BZHI, SHLX, SHRX, SARX.
template <class F, class T>
struct BmiRMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded<BmiRMR, A, T>(core, op, [&](T a) SOFTSNP_LAMBDA_INLINE {
      set_reg<T>(core, op->r0, F::apply(a, get_reg<T>(core, op->r1), core.state.flags));
    });
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
    return with_loaded<RorxRMI, A, T>(core, op, [&](T a) SOFTSNP_LAMBDA_INLINE {
      set_reg<T>(core, op->r0, rotate_right(a, op->imm));
    });
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
    return with_loaded<CarryAddRM, A, T>(core, op, [&](T b) SOFTSNP_LAMBDA_INLINE {
      set_reg<T>(core, op->r0, F::apply(get_reg<T>(core, op->r0), b, core.state.flags));
    });
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
    return with_loaded<MovbeRM, A, T>(core, op, [&](T value) SOFTSNP_LAMBDA_INLINE {
      set_reg<T>(core, op->r0, alu::byte_swap(value));
    });
  }
};
template <class T>
struct MovbeMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_stored<MovbeMR, A, T>(core, op, alu::byte_swap(get_reg<T>(core, op->r0)));
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
    return with_loaded<Crc32RM, A, T>(core, op, [&](T data) SOFTSNP_LAMBDA_INLINE {
      set_reg<u32>(core, op->r0, alu::crc32c(get_reg<u32>(core, op->r0), data));
    });
  }
};

}  // namespace softsnp::cpu
