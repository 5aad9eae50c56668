// The seam on an x86-64 host: each operation is the instruction itself. Assembly and not
// intrinsics, since a compiler may fold, move or drop those without regard to MXCSR.
#pragma once

#include <array>
#include <utility>

#include "machine/cpu/exec/host_fp.hpp"
#include "machine/cpu/exec/sse_lists.hpp"

#define SOFTSNP_HOST inline __attribute__((always_inline))

namespace softsnp::cpu::host {

namespace detail {
template <class F, usize... I>
constexpr auto immediates(std::index_sequence<I...>) {
  return std::array{&F::template one<static_cast<u8>(I)>...};
}
}  // namespace detail
// The instruction F with each immediate: imm8 is part of the encoding.
template <class F>
inline constexpr auto by_immediate = detail::immediates<F>(std::make_index_sequence<F::mask + 1>{});

#define SOFTSNP_DEFINE(MNEMONIC, name, size)             \
  struct name {                                          \
    static constexpr unsigned bytes = size;              \
    static SOFTSNP_HOST Vector run(Vector a, Vector b) { \
      asm(#name " %1, %0" : "+x"(a) : "x"(b));           \
      return a;                                          \
    }                                                    \
  };
SOFTSNP_SSE_INTEGER(SOFTSNP_DEFINE)
SOFTSNP_SSE_LOW_HALF(SOFTSNP_DEFINE)
SOFTSNP_SSE_LOGIC(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

#define SOFTSNP_DEFINE(MNEMONIC, name, size)                          \
  struct name {                                                       \
    static constexpr unsigned bytes = size;                           \
    static SOFTSNP_HOST Vector run(Vector a, Vector b, Vector mask) { \
      asm(#name " %%xmm0, %1, %0" : "+x"(a) : "x"(b), "Yz"(mask));    \
      return a;                                                       \
    }                                                                 \
  };
SOFTSNP_SSE_BLEND(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

#define SOFTSNP_DEFINE(MNEMONIC, name, size, bits)               \
  struct name {                                                  \
    static constexpr unsigned bytes = size;                      \
    static constexpr u8 mask = bits;                             \
    template <u8 I>                                              \
    static Vector one(Vector a, Vector b) {                      \
      asm(#name " %2, %1, %0" : "+x"(a) : "x"(b), "i"(I));       \
      return a;                                                  \
    }                                                            \
    static SOFTSNP_HOST Vector run(Vector a, Vector b, u8 imm) { \
      return by_immediate<name>[imm & mask](a, b);               \
    }                                                            \
  };
SOFTSNP_SSE_IMMEDIATE(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

#define SOFTSNP_DEFINE(MNEMONIC, name, size, arithmetic, bits, count)  \
  struct name {                                                        \
    static constexpr unsigned bytes = size;                            \
    static constexpr Range range{Arithmetic::arithmetic, bits, count}; \
    static SOFTSNP_HOST Vector run(Vector a, Vector b, u32& control) { \
      asm volatile("ldmxcsr %1\n\t" #name " %2, %0\n\tstmxcsr %1"      \
                   : "+x"(a), "+m"(control)                            \
                   : "x"(b));                                          \
      return a;                                                        \
    }                                                                  \
  };
SOFTSNP_SSE_FP(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

#define SOFTSNP_DEFINE(MNEMONIC, name, size, bits)                          \
  struct name {                                                             \
    static constexpr unsigned bytes = size;                                 \
    static constexpr u8 mask = bits;                                        \
    static constexpr Range range{};                                         \
    template <u8 I>                                                         \
    static Vector one(Vector a, Vector b, u32& control) {                   \
      asm volatile("ldmxcsr %1\n\t" #name " %3, %2, %0\n\tstmxcsr %1"       \
                   : "+x"(a), "+m"(control)                                 \
                   : "x"(b), "i"(I));                                       \
      return a;                                                             \
    }                                                                       \
    static FpFunction at(u8 imm) { return by_immediate<name>[imm & mask]; } \
  };
SOFTSNP_SSE_FP_IMMEDIATE(SOFTSNP_DEFINE)
SOFTSNP_SSE_DOT(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

// The integer comes in, and goes out, in the low element.
#define SOFTSNP_DEFINE(MNEMONIC, name, size)                         \
  template <class T>                                                 \
  struct name {                                                      \
    static constexpr unsigned bytes = size;                          \
    static constexpr Range range{};                                  \
    static SOFTSNP_HOST Vector run(Vector, Vector b, u32& control) { \
      T result;                                                      \
      asm volatile("ldmxcsr %1\n\t" #name " %2, %0\n\tstmxcsr %1"    \
                   : "=&r"(result), "+m"(control)                    \
                   : "x"(b));                                        \
      return Vector{static_cast<long long>(result), 0};              \
    }                                                                \
  };
SOFTSNP_SSE_TO_INTEGER(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

#define SOFTSNP_DEFINE(MNEMONIC, name)                                 \
  template <class T>                                                   \
  struct name {                                                        \
    static constexpr unsigned bytes = sizeof(T);                       \
    static constexpr Range range{};                                    \
    static SOFTSNP_HOST Vector run(Vector a, Vector b, u32& control) { \
      asm volatile("ldmxcsr %1\n\t" #name " %2, %0\n\tstmxcsr %1"      \
                   : "+x"(a), "+m"(control)                            \
                   : "r"(static_cast<T>(b[0])));                       \
      return a;                                                        \
    }                                                                  \
  };
SOFTSNP_SSE_FROM_INTEGER(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

// Low element of the result: CF, PF, ZF in their RFLAGS places.
#define SOFTSNP_DEFINE(MNEMONIC, name, size)                                       \
  struct name {                                                                    \
    static constexpr unsigned bytes = size;                                        \
    static constexpr Range range{};                                                \
    static SOFTSNP_HOST Vector run(Vector a, Vector b, u32& control) {             \
      bool zero, parity, carry;                                                    \
      asm volatile("ldmxcsr %0\n\t" #name " %5, %4\n\tstmxcsr %0"                  \
                   : "+m"(control), "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry) \
                   : "x"(a), "x"(b));                                              \
      return Vector{carry | parity << 2 | zero << 6, 0};                           \
    }                                                                              \
  };
SOFTSNP_SSE_COMPARE(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

struct StringResult {
  Vector mask;
  u32 index;
  bool carry, zero, sign, overflow;
};

#define SOFTSNP_DEFINE(MNEMONIC, name)                                                         \
  struct name {                                                                                \
    static constexpr u8 mask = 127;                                                            \
    template <u8 I>                                                                            \
    static StringResult one(Vector a, Vector b, u32 length_a, u32 length_b) {                  \
      StringResult r{};                                                                        \
      register Vector mask_out asm("xmm0") = Vector{};                                         \
      asm(#name " %9, %8, %7"                                                                  \
          : "+x"(mask_out), "=c"(r.index), "=@ccc"(r.carry), "=@ccz"(r.zero), "=@ccs"(r.sign), \
            "=@cco"(r.overflow), "+a"(length_a)                                                \
          : "x"(a), "x"(b), "i"(I), "d"(length_b));                                            \
      r.mask = mask_out;                                                                       \
      return r;                                                                                \
    }                                                                                          \
    static StringResult run(Vector a, Vector b, u32 length_a, u32 length_b, u8 imm) {          \
      return by_immediate<name>[imm & mask](a, b, length_a, length_b);                         \
    }                                                                                          \
  };
SOFTSNP_SSE_STRING(SOFTSNP_DEFINE)
#undef SOFTSNP_DEFINE

// ZF and CF of PTEST in their RFLAGS places.
SOFTSNP_HOST u64 ptest(Vector a, Vector b) {
  bool zero, carry;
  asm("ptest %3, %2" : "=@ccz"(zero), "=@ccc"(carry) : "x"(a), "x"(b));
  return (carry ? 1u : 0u) | (zero ? 64u : 0u);
}
SOFTSNP_HOST u32 byte_signs(Vector a) {
  u32 r;
  asm("pmovmskb %1, %0" : "=r"(r) : "x"(a));
  return r;
}

}  // namespace softsnp::cpu::host
