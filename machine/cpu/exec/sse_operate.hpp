// Handlers of SSE instructions of the shape dst = f(dst, src[, imm8]); src a register or memory.
#pragma once

#include "machine/cpu/exec/sse.hpp"

namespace softsnp::cpu::sse {

inline constexpr Alignment operand_alignment(unsigned bytes) {
  return bytes == 16 ? Alignment::unless_permitted : Alignment::none;
}

// Fetches the second operand and goes on with Body::run(core, op, b).
template <class Body, unsigned Bytes, Alignment Rule = operand_alignment(Bytes)>
struct WithSource {
  static const Op* reg(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    return Body::run(core, op, get_xmm(core, op->r1));
  }
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    const u64 linear = effective<A>(core, op, Bytes);
    if (misaligned<Rule>(core, linear)) [[unlikely]] {
      return raise_error(core, op, x86::Vector::gp, 0);
    }
    Vector b;
    if (!load_vector<Bytes>(core, linear, b)) [[unlikely]] {
      return fault_at(core, op);
    }
    return Body::run(core, op, b);
  }
};

template <class F>
struct PlainBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    set_xmm(core, op->r0, F::run(get_xmm(core, op->r0), b));
    return next(core, op);
  }
};
template <class F>
struct Plain : WithSource<PlainBody<F>, F::bytes> {};

template <class F>
struct LowHalf : WithSource<PlainBody<F>, F::bytes, Alignment::unless_permitted> {};

template <class F>
struct ImmediateBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    set_xmm(core, op->r0, F::run(get_xmm(core, op->r0), b, static_cast<u8>(op->imm)));
    return next(core, op);
  }
};
template <class F>
struct Immediate : WithSource<ImmediateBody<F>, F::bytes> {};

// XMM0 selects.
template <class F>
struct BlendBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    set_xmm(core, op->r0, F::run(get_xmm(core, op->r0), b, get_xmm(core, 0)));
    return next(core, op);
  }
};
template <class F>
struct Blend : WithSource<BlendBody<F>, F::bytes> {};

template <class F>
struct FloatBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    Vector result;
    if (!compute(core, &F::run, F::range, get_xmm(core, op->r0), b, result)) [[unlikely]] {
      return sse_exception(core, op);
    }
    set_xmm(core, op->r0, result);
    return next(core, op);
  }
};
template <class F>
struct Float : WithSource<FloatBody<F>, F::bytes> {};

template <class F>
struct FloatImmediateBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    Vector result;
    const host::FpFunction function = F::at(static_cast<u8>(op->imm));
    if (!compute(core, function, F::range, get_xmm(core, op->r0), b, result)) [[unlikely]] {
      return sse_exception(core, op);
    }
    set_xmm(core, op->r0, result);
    return next(core, op);
  }
};
template <class F>
struct FloatImmediate : WithSource<FloatImmediateBody<F>, F::bytes> {};

// DPPS, DPPD: F; with an unmasked exception its multiplications and additions one by one, since
// each may be the one that stops.
bool dot_product_slow(Core& core, u8 imm, bool single, Vector a, Vector b);
template <class F, bool Single>
struct DotBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    const Vector a = get_xmm(core, op->r0);
    const auto imm = static_cast<u8>(op->imm);
    if ((core.state.fx.mxcsr & host::mxcsr::masks) == host::mxcsr::masks) [[likely]] {
      Vector result;
      compute(core, F::at(imm), F::range, a, b, result);
      set_xmm(core, op->r0, result);
      return next(core, op);
    }
    if (!dot_product_slow(core, imm, Single, a, b)) {
      return sse_exception(core, op);
    }
    set_xmm(core, op->r0, load_le<Vector>(core.slow_value));
    return next(core, op);
  }
};
template <class F, bool Single>
struct Dot : WithSource<DotBody<F, Single>, F::bytes> {};

// The low element of the result goes to a general register, zero-extended.
template <class F>
struct ToIntegerBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    Vector result;
    if (!compute(core, &F::run, F::range, b, b, result)) [[unlikely]] {
      return sse_exception(core, op);
    }
    core.state.gpr[op->r0] = static_cast<u64>(result[0]);
    return next(core, op);
  }
};
template <class F>
struct ToInteger : WithSource<ToIntegerBody<F>, F::bytes> {};

// The second operand is a general register or memory.
template <class F>
struct FromInteger : WithSource<FloatBody<F>, F::bytes> {
  static const Op* reg(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    const auto value = static_cast<long long>(core.state.gpr[op->r1]);
    return FloatBody<F>::run(core, op, Vector{value, 0});
  }
};

// The low element of the result is ZF, PF, CF; OF, SF, AF are cleared.
template <class F>
struct CompareBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    Vector result;
    if (!compute(core, &F::run, F::range, get_xmm(core, op->r0), b, result)) [[unlikely]] {
      return sse_exception(core, op);
    }
    core.state.flags.unpack(static_cast<u64>(result[0]));
    return next(core, op);
  }
};
template <class F>
struct Compare : WithSource<CompareBody<F>, F::bytes> {};

struct PtestBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    core.state.flags.unpack(host::ptest(get_xmm(core, op->r0), b));
    return next(core, op);
  }
};
struct Ptest : WithSource<PtestBody, 16> {};

// Shifts by imm8: the count as a vector operand, of which 64 bits count.
template <class F>
const Op* shift_by_immediate(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  const Vector count{static_cast<u8>(op->imm), 0};
  set_xmm(core, op->r0, F::run(get_xmm(core, op->r0), count));
  return next(core, op);
}
// PSLLDQ, PSRLDQ.
const Op* shift_bytes_left(Core& core, const Op* op);
const Op* shift_bytes_right(Core& core, const Op* op);

// PCMPxSTRx. Explicit: lengths in RAX, RDX; Index: the result goes to ECX, else to XMM0. The
// operand need not be aligned.
u32 string_length(const Core& core, const Op* op, unsigned gpr);
void finish_string(Core& core, const host::StringResult& result, bool index);
// Not part of the handler, whose tail call forbids locals with an address.
template <class F, bool Explicit, bool Index>
SOFTSNP_COLD void compare_strings(Core& core, const Op* op, Vector b) {
  const u32 length_a = Explicit ? string_length(core, op, 0) : 0;
  const u32 length_b = Explicit ? string_length(core, op, 2) : 0;
  const Vector a = get_xmm(core, op->r0);
  finish_string(core, F::run(a, b, length_a, length_b, static_cast<u8>(op->imm)), Index);
}
template <class F, bool Explicit, bool Index>
struct StringBody {
  static SOFTSNP_INLINE const Op* run(Core& core, const Op* op, Vector b) {
    compare_strings<F, Explicit, Index>(core, op, b);
    return next(core, op);
  }
};
template <class F, bool Explicit, bool Index>
struct String : WithSource<StringBody<F, Explicit, Index>, 16, Alignment::none> {};

}  // namespace softsnp::cpu::sse
