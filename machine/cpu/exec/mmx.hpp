// MMX: the 64-bit halves of the x87 registers. The arithmetic is that of the XMM forms on the low
// half. APM volume 5 (26569), volume 1 chapter 5.
#pragma once

#include "machine/cpu/exec/sse_move.hpp"
#include "machine/cpu/exec/sse_operate.hpp"
#include "machine/cpu/exec/x87.hpp"

// clang-format off
// X(MNEMONIC, bytes of a memory operand, adapter, host operation)
#define SOFTSNP_MMX(X)                                                                            \
  X(PADDB, 8, Low, paddb) X(PADDW, 8, Low, paddw) X(PADDD, 8, Low, paddd)                         \
  X(PADDQ, 8, Low, paddq) X(PADDSB, 8, Low, paddsb) X(PADDSW, 8, Low, paddsw)                     \
  X(PADDUSB, 8, Low, paddusb) X(PADDUSW, 8, Low, paddusw) X(PSUBB, 8, Low, psubb)                 \
  X(PSUBW, 8, Low, psubw) X(PSUBD, 8, Low, psubd) X(PSUBQ, 8, Low, psubq)                         \
  X(PSUBSB, 8, Low, psubsb) X(PSUBSW, 8, Low, psubsw) X(PSUBUSB, 8, Low, psubusb)                 \
  X(PSUBUSW, 8, Low, psubusw) X(PMULLW, 8, Low, pmullw) X(PMULHW, 8, Low, pmulhw)                 \
  X(PMULHUW, 8, Low, pmulhuw) X(PMULUDQ, 8, Low, pmuludq) X(PMADDWD, 8, Low, pmaddwd)             \
  X(PSADBW, 8, Low, psadbw) X(PAVGB, 8, Low, pavgb) X(PAVGW, 8, Low, pavgw)                       \
  X(PMINUB, 8, Low, pminub) X(PMAXUB, 8, Low, pmaxub) X(PMINSW, 8, Low, pminsw)                   \
  X(PMAXSW, 8, Low, pmaxsw) X(PCMPEQB, 8, Low, pcmpeqb) X(PCMPEQW, 8, Low, pcmpeqw)               \
  X(PCMPEQD, 8, Low, pcmpeqd) X(PCMPGTB, 8, Low, pcmpgtb) X(PCMPGTW, 8, Low, pcmpgtw)             \
  X(PCMPGTD, 8, Low, pcmpgtd) X(PAND, 8, Low, pand) X(PANDN, 8, Low, pandn) X(POR, 8, Low, por)   \
  X(PXOR, 8, Low, pxor) X(PSLLW, 8, Low, psllw) X(PSLLD, 8, Low, pslld) X(PSLLQ, 8, Low, psllq)   \
  X(PSRLW, 8, Low, psrlw) X(PSRLD, 8, Low, psrld) X(PSRLQ, 8, Low, psrlq)                         \
  X(PSRAW, 8, Low, psraw) X(PSRAD, 8, Low, psrad) X(PMADDUBSW, 8, Low, pmaddubsw)                 \
  X(PMULHRSW, 8, Low, pmulhrsw) X(PSIGNB, 8, Low, psignb) X(PSIGNW, 8, Low, psignw)               \
  X(PSIGND, 8, Low, psignd) X(PABSB, 8, Low, pabsb) X(PABSW, 8, Low, pabsw)                       \
  X(PABSD, 8, Low, pabsd) X(PACKSSWB, 8, Joined, packsswb) X(PACKSSDW, 8, Joined, packssdw)       \
  X(PACKUSWB, 8, Joined, packuswb) X(PHADDW, 8, Joined, phaddw) X(PHADDD, 8, Joined, phaddd)      \
  X(PHADDSW, 8, Joined, phaddsw) X(PHSUBW, 8, Joined, phsubw) X(PHSUBD, 8, Joined, phsubd)        \
  X(PHSUBSW, 8, Joined, phsubsw) X(PUNPCKLBW, 4, Low, punpcklbw)                                  \
  X(PUNPCKHBW, 8, High, punpcklbw) X(PUNPCKLWD, 4, Low, punpcklwd)                                \
  X(PUNPCKHWD, 8, High, punpcklwd) X(PUNPCKLDQ, 4, Low, punpckldq)                                \
  X(PUNPCKHDQ, 8, High, punpckldq) X(PSHUFB, 8, Shuffle, pshufb)
// clang-format on

namespace softsnp::cpu::mmx {

// How a 64-bit operation comes out of the 128-bit one.
template <class F>
struct Low {
  static u64 run(u64 a, u64 b) {
    return static_cast<u64>(
        F::run(Vector{static_cast<long long>(a), 0}, Vector{static_cast<long long>(b), 0})[0]);
  }
};
template <class F>
struct High {
  static u64 run(u64 a, u64 b) {
    return static_cast<u64>(
        F::run(Vector{static_cast<long long>(a), 0}, Vector{static_cast<long long>(b), 0})[1]);
  }
};
// Operations on neighbours of both operands: a is the low half, b the high.
template <class F>
struct Joined {
  static u64 run(u64 a, u64 b) {
    const Vector both{static_cast<long long>(a), static_cast<long long>(b)};
    return static_cast<u64>(F::run(both, both)[0]);
  }
};
// Only three bits of an index count.
template <class F>
struct Shuffle {
  static u64 run(u64 a, u64 b) { return Low<F>::run(a, b & 0x8787878787878787); }
};

SOFTSNP_COLD const Op* unavailable(Core& core, const Op* op);
SOFTSNP_INLINE bool off(const Core& core) {
  return x87::refused(core, x87::Waiting::yes);
}
// Every MMX instruction leaves TOP = 0 and all registers in use. APM1 5.
SOFTSNP_INLINE void enter(FxState& fx) {
  if ((fx.fsw & x87::fsw::top_mask) != 0) {
    x87::set_top(fx, 0);
  }
  fx.ftw = 0xFF;
}
SOFTSNP_INLINE u64 get(const Core& core, unsigned number) {
  const FxState& fx = core.state.fx;
  return load_le<u64>(fx.st[(number - x87::top(fx)) & 7]);
}
SOFTSNP_INLINE void set(Core& core, unsigned number, u64 value) {
  FxState& fx = core.state.fx;
  enter(fx);
  store_le<u64>(fx.st[number & 7], value);
  store_le<u16>(fx.st[number & 7] + 8, 0xFFFF);
}

// Fetches the second operand, zero-extended, and goes on with Body::run(core, op, b).
template <class Body, class T>
struct WithSource {
  static const Op* reg(Core& core, const Op* op) {
    return off(core) ? unavailable(core, op) : Body::run(core, op, get(core, op->r1));
  }
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (off(core)) [[unlikely]] {
      return unavailable(core, op);
    }
    T b;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), b)) [[unlikely]] {
      return fault_at(core, op);
    }
    return Body::run(core, op, b);
  }
};
template <unsigned Bytes>
struct Unsigned;
template <>
struct Unsigned<4> {
  using Type = u32;
};
template <>
struct Unsigned<8> {
  using Type = u64;
};

template <class F>
struct PlainBody {
  static const Op* run(Core& core, const Op* op, u64 b) {
    set(core, op->r0, F::run(get(core, op->r0), b));
    return next(core, op);
  }
};
template <class F, unsigned Bytes>
struct Plain : WithSource<PlainBody<F>, typename Unsigned<Bytes>::Type> {};

template <class F>
const Op* shift_by_immediate(Core& core, const Op* op) {
  if (off(core)) [[unlikely]] {
    return unavailable(core, op);
  }
  set(core, op->r0, Low<F>::run(get(core, op->r0), static_cast<u8>(op->imm)));
  return next(core, op);
}

struct MoveBody {
  static const Op* run(Core& core, const Op* op, u64 b) {
    set(core, op->r0, b);
    return next(core, op);
  }
};
template <class T>
struct Move : WithSource<MoveBody, T> {};
template <class T>
struct Store {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (off(core)) [[unlikely]] {
      return unavailable(core, op);
    }
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    if (!store<T>(core, linear, static_cast<T>(get(core, op->r0)))) [[unlikely]] {
      return fault_at(core, op);
    }
    enter(core.state.fx);
    return next(core, op);
  }
};

struct PshufwBody {
  static const Op* run(Core& core, const Op* op, u64 b);
};
struct Pshufw : WithSource<PshufwBody, u64> {};
struct PalignrBody {
  static const Op* run(Core& core, const Op* op, u64 b);
};
struct Palignr : WithSource<PalignrBody, u64> {};
struct PinsrwBody {
  static const Op* run(Core& core, const Op* op, u64 b);
};
struct Pinsrw : WithSource<PinsrwBody, u16> {
  static const Op* reg(Core& core, const Op* op) {
    return off(core) ? unavailable(core, op) : PinsrwBody::run(core, op, core.state.gpr[op->r1]);
  }
};

template <class T>
const Op* from_gpr(Core& core, const Op* op) {
  return off(core) ? unavailable(core, op)
                   : MoveBody::run(core, op, static_cast<T>(core.state.gpr[op->r1]));
}
template <class T>
const Op* to_gpr(Core& core, const Op* op) {
  if (off(core)) [[unlikely]] {
    return unavailable(core, op);
  }
  core.state.gpr[op->r0] = static_cast<T>(get(core, op->r1));
  enter(core.state.fx);
  return next(core, op);
}

const Op* pextrw(Core& core, const Op* op);
const Op* pmovmskb(Core& core, const Op* op);
const Op* maskmovq(Core& core, const Op* op);
const Op* emms(Core& core, const Op* op);
const Op* movq2dq(Core& core, const Op* op);
const Op* movdq2q(Core& core, const Op* op);

// CVTPI2PS, CVTPI2PD: two integers from an MMX register or memory. The memory form touches no x87
// state. F: the XMM conversion; Half: only the low half of the destination is written.
const Op* sse_unavailable_mmx(Core& core, const Op* op);
template <class F, bool Half>
struct FromPair {
  static SOFTSNP_INLINE const Op* convert(Core& core, const Op* op, u64 pair, bool uses_mmx) {
    const Vector source{static_cast<long long>(pair), 0};
    Vector result;
    const bool computed = compute(core, &F::run, F::range, source, source, result);
    if (uses_mmx) {
      enter(core.state.fx);  // also before #XF; seen on a Zen 5
    }
    if (!computed) [[unlikely]] {
      return sse_exception(core, op);
    }
    Vector whole = get_xmm(core, op->r0);
    whole[0] = result[0];
    set_xmm(core, op->r0, Half ? whole : result);
    return next(core, op);
  }
  static const Op* reg(Core& core, const Op* op) {
    if (sse_off(core) || off(core)) [[unlikely]] {
      return sse_unavailable_mmx(core, op);
    }
    return convert(core, op, get(core, op->r1), true);
  }
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    u64 pair;
    if (!load<u64>(core, effective<A>(core, op, 8), pair)) [[unlikely]] {
      return fault_at(core, op);
    }
    return convert(core, op, pair, false);
  }
};

// CVTPS2PI, CVTPD2PI and the truncating ones: XMM register or memory to an MMX register.
template <class F, unsigned Bytes>
struct ToPair {
  static SOFTSNP_INLINE const Op* convert(Core& core, const Op* op, Vector b) {
    Vector result;
    const bool computed = compute(core, &F::run, F::range, b, b, result);
    enter(core.state.fx);  // also before #XF; seen on a Zen 5
    if (!computed) [[unlikely]] {
      return sse_exception(core, op);
    }
    set(core, op->r0, static_cast<u64>(result[0]));
    return next(core, op);
  }
  static const Op* reg(Core& core, const Op* op) {
    if (sse_off(core) || off(core)) [[unlikely]] {
      return sse_unavailable_mmx(core, op);
    }
    Vector b = get_xmm(core, op->r1);
    if constexpr (Bytes == 8) {
      b[1] = 0;
    }
    return convert(core, op, b);
  }
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core) || off(core)) [[unlikely]] {
      return sse_unavailable_mmx(core, op);
    }
    const u64 linear = effective<A>(core, op, Bytes);
    if (misaligned<sse::operand_alignment(Bytes)>(core, linear)) [[unlikely]] {
      return raise_error(core, op, x86::Vector::gp, 0);
    }
    Vector b;
    if (!load_vector<Bytes>(core, linear, b)) [[unlikely]] {
      return fault_at(core, op);
    }
    return convert(core, op, b);
  }
};

}  // namespace softsnp::cpu::mmx
