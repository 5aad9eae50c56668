// SSE data movement: between registers, memory and general registers. No arithmetic, no flags.
#pragma once

#include <cstring>

#include "machine/cpu/exec/sse.hpp"

namespace softsnp::cpu::sse {

// Register forms: Body::run(Xmm& dst, const Xmm& src).
template <class Body>
const Op* move_register(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  auto& xmm = core.state.fx.xmm;
  Body::run(xmm[op->r0], Xmm(xmm[op->r1]));
  return next(core, op);
}
struct MoveAll {
  static void run(Xmm& d, const Xmm& s) { d = s; }
};
struct MoveLow32 {  // MOVSS
  static void run(Xmm& d, const Xmm& s) {
    d.lane[0] = (d.lane[0] & ~u64{0xFFFFFFFF}) | (s.lane[0] & 0xFFFFFFFF);
  }
};
struct MoveLow64 {  // MOVSD
  static void run(Xmm& d, const Xmm& s) { d.lane[0] = s.lane[0]; }
};
struct MoveQuad {  // MOVQ
  static void run(Xmm& d, const Xmm& s) { d = Xmm{{s.lane[0], 0}}; }
};
struct MoveHighToLow {  // MOVHLPS
  static void run(Xmm& d, const Xmm& s) { d.lane[0] = s.lane[1]; }
};
struct MoveLowToHigh {  // MOVLHPS
  static void run(Xmm& d, const Xmm& s) { d.lane[1] = s.lane[0]; }
};

// A load that writes the whole register, zero-extended.
template <unsigned Bytes, Alignment Rule = Alignment::none>
struct Load {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    const u64 linear = effective<A>(core, op, Bytes);
    if (misaligned<Rule>(core, linear)) [[unlikely]] {
      return raise_error(core, op, x86::Vector::gp, 0);
    }
    Vector value;
    if (!load_vector<Bytes>(core, linear, value)) [[unlikely]] {
      return fault_at(core, op);
    }
    set_xmm(core, op->r0, value);
    return next(core, op);
  }
};

// MOVLPS, MOVHPS and their PD forms: one half only.
template <unsigned Half>
struct LoadHalf {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    u64 value;
    if (!load<u64>(core, effective<A>(core, op, 8), value)) [[unlikely]] {
      return fault_at(core, op);
    }
    core.state.fx.xmm[op->r0].lane[Half] = value;
    return next(core, op);
  }
};

// Stores sizeof(T) bytes of the register from byte Offset on.
template <class T, unsigned Offset = 0, Alignment Rule = Alignment::none>
struct Store {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    if (misaligned<Rule>(core, linear)) [[unlikely]] {
      return raise_error(core, op, x86::Vector::gp, 0);
    }
    const auto* from = reinterpret_cast<const u8*>(&core.state.fx.xmm[op->r0]) + Offset;
    if (!store<T>(core, linear, load_le<T>(from))) [[unlikely]] {
      return fault_at(core, op);
    }
    return next(core, op);
  }
};

// MOVD, MOVQ with a general register.
template <class T>
const Op* from_gpr(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  core.state.fx.xmm[op->r0] = Xmm{{static_cast<T>(core.state.gpr[op->r1]), 0}};
  return next(core, op);
}
template <class T>
const Op* to_gpr(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  core.state.gpr[op->r0] = static_cast<T>(core.state.fx.xmm[op->r1].lane[0]);
  return next(core, op);
}

// PINSRB, PINSRW, PINSRD, PINSRQ: element imm8 modulo their number.
template <class T>
SOFTSNP_INLINE u8* element(Xmm& xmm, u64 imm) {
  return reinterpret_cast<u8*>(&xmm) + (imm & (16 / sizeof(T) - 1)) * sizeof(T);
}
template <class T>
struct Insert {
  static const Op* reg(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    const auto value = static_cast<T>(core.state.gpr[op->r1]);
    store_le<T>(element<T>(core.state.fx.xmm[op->r0], op->imm), value);
    return next(core, op);
  }
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    T value;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), value)) [[unlikely]] {
      return fault_at(core, op);
    }
    store_le<T>(element<T>(core.state.fx.xmm[op->r0], op->imm), value);
    return next(core, op);
  }
};
// PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS.
template <class T>
struct Extract {
  static const Op* reg(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    core.state.gpr[op->r0] = load_le<T>(element<T>(core.state.fx.xmm[op->r1], op->imm));
    return next(core, op);
  }
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    const T value = load_le<T>(element<T>(core.state.fx.xmm[op->r0], op->imm));
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    if (!store<T>(core, linear, value)) [[unlikely]] {
      return fault_at(core, op);
    }
    return next(core, op);
  }
};

// INSERTPS from memory: there is one source element, whatever imm8[7:6] says.
struct InsertSingle {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    if (sse_off(core)) [[unlikely]] {
      return sse_unavailable(core, op);
    }
    Vector b;
    if (!load_vector<4>(core, effective<A>(core, op, 4), b)) [[unlikely]] {
      return fault_at(core, op);
    }
    const auto imm = static_cast<u8>(op->imm & 0x3F);
    set_xmm(core, op->r0, host::insertps::run(get_xmm(core, op->r0), b, imm));
    return next(core, op);
  }
};

// MOVMSKPS, MOVMSKPD, PMOVMSKB.
const Op* movmskps(Core& core, const Op* op);
const Op* movmskpd(Core& core, const Op* op);
const Op* pmovmskb(Core& core, const Op* op);
const Op* maskmovdqu(Core& core, const Op* op);
// SSE4a.
const Op* extrq_immediate(Core& core, const Op* op);
const Op* extrq_register(Core& core, const Op* op);
const Op* insertq_immediate(Core& core, const Op* op);
const Op* insertq_register(Core& core, const Op* op);

// Stores the bytes of value whose mask byte has bit 7 set to seg:[rDI]; all or none.
bool store_masked(Core& core, const Op* op, const u8* value, const u8* mask, unsigned bytes);

const Op* ldmxcsr_from(Core& core, const Op* op, u64 linear);
const Op* stmxcsr_to(Core& core, const Op* op, u64 linear);
struct Ldmxcsr {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return sse_off(core) ? sse_unavailable(core, op)
                         : ldmxcsr_from(core, op, effective<A>(core, op, 4));
  }
};
struct Stmxcsr {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return sse_off(core) ? sse_unavailable(core, op)
                         : stmxcsr_to(core, op, effective<A>(core, op, 4, Access::write));
  }
};

}  // namespace softsnp::cpu::sse
