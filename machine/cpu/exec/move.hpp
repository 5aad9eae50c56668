// Handlers of data moves between registers and memory.
#pragma once

#include "machine/cpu/exec/alu_bit.hpp"
#include "machine/cpu/exec/condition.hpp"
#include "machine/cpu/exec/operands.hpp"

namespace softsnp::cpu {

template <class T>
const Op* op_mov_rr(Core& core, const Op* op) {
  set_reg<T>(core, op->r0, get_reg<T>(core, op->r1));
  return next(core, op);
}
template <class T>
const Op* op_mov_ri(Core& core, const Op* op) {
  set_reg<T>(core, op->r0, immediate<T>(op));
  return next(core, op);
}
template <class T>
struct MovRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded<MovRM, A, T>(
        core, op, [&](T value) SOFTSNP_LAMBDA_INLINE { set_reg<T>(core, op->r0, value); });
  }
};
template <class T>
struct MovMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_stored<MovMR, A, T>(core, op, get_reg<T>(core, op->r0));
  }
};
template <class T>
struct MovMI {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_stored<MovMI, A, T>(core, op, immediate<T>(op));
  }
};

// MOVZX (From unsigned), MOVSX, MOVSXD (From signed).
template <class To, class From>
const Op* op_extend_rr(Core& core, const Op* op) {
  const auto value = static_cast<From>(get_reg<std::make_unsigned_t<From>>(core, op->r1));
  set_reg<To>(core, op->r0, static_cast<To>(value));
  return next(core, op);
}
template <class To, class From>
struct ExtendRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded<ExtendRM, A, From>(core, op, [&](From value) SOFTSNP_LAMBDA_INLINE {
      set_reg<To>(core, op->r0, static_cast<To>(value));
    });
  }
};

template <class T>
struct Lea {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    set_reg<T>(core, op->r0, static_cast<T>(offset_of<A>(core, op)));
    return next(core, op);
  }
};

template <class T>
const Op* op_xchg_rr(Core& core, const Op* op) {
  const T a = get_reg<T>(core, op->r0);
  set_reg<T>(core, op->r0, get_reg<T>(core, op->r1));
  set_reg<T>(core, op->r1, a);
  return next(core, op);
}
template <class T>
struct XchgMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_changed<XchgMR, A, T>(core, op, [&](T a, LazyFlags&) SOFTSNP_LAMBDA_INLINE {
      const T b = get_reg<T>(core, op->r0);
      set_reg<T>(core, op->r0, a);
      return b;
    });
  }
};

// A 32-bit destination loses its upper half even if the condition is false; memory is read always.
template <unsigned C, class T>
const Op* op_cmov_rr(Core& core, const Op* op) {
  const T kept = get_reg<T>(core, op->r0);
  const T moved = get_reg<T>(core, op->r1);
  set_reg<T>(core, op->r0, condition<C>(core.state.flags) ? moved : kept);
  return next(core, op);
}
template <unsigned C, class T>
struct CmovRM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_loaded<CmovRM, A, T>(core, op, [&](T moved) SOFTSNP_LAMBDA_INLINE {
      const T kept = get_reg<T>(core, op->r0);
      set_reg<T>(core, op->r0, condition<C>(core.state.flags) ? moved : kept);
    });
  }
};

template <unsigned C>
const Op* op_set_r(Core& core, const Op* op) {
  set_reg<u8>(core, op->r0, condition<C>(core.state.flags));
  return next(core, op);
}
template <unsigned C>
struct SetM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_stored<SetM, A, u8>(core, op, condition<C>(core.state.flags));
  }
};

// MOV from a segment register: r1 is the segment.
template <class T>
const Op* op_mov_from_segment_r(Core& core, const Op* op) {
  set_reg<T>(core, op->r0, core.state.seg[op->r1].selector);
  return next(core, op);
}
struct MovFromSegmentM {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    return with_stored<MovFromSegmentM, A, u16>(core, op, core.state.seg[op->r0].selector);
  }
};

}  // namespace softsnp::cpu
