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
    T value;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), value)) {
      return fault_at(core, op);
    }
    set_reg<T>(core, op->r0, value);
    return next(core, op);
  }
};
template <class T>
struct MovMR {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    if (!store<T>(core, linear, get_reg<T>(core, op->r0))) {
      return fault_at(core, op);
    }
    return next(core, op);
  }
};
template <class T>
struct MovMI {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    if (!store<T>(core, linear, immediate<T>(op))) {
      return fault_at(core, op);
    }
    return next(core, op);
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
    From value;
    if (!load<From>(core, effective<A>(core, op, sizeof(From)), value)) {
      return fault_at(core, op);
    }
    set_reg<To>(core, op->r0, static_cast<To>(value));
    return next(core, op);
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
    const u64 linear = effective<A>(core, op, sizeof(T), Access::write);
    T a;
    if (!load_for_write<T>(core, linear, a) || !store<T>(core, linear, get_reg<T>(core, op->r0))) {
      return fault_at(core, op);
    }
    set_reg<T>(core, op->r0, a);
    return next(core, op);
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
    T moved;
    if (!load<T>(core, effective<A>(core, op, sizeof(T)), moved)) {
      return fault_at(core, op);
    }
    const T kept = get_reg<T>(core, op->r0);
    set_reg<T>(core, op->r0, condition<C>(core.state.flags) ? moved : kept);
    return next(core, op);
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
    const u64 linear = effective<A>(core, op, 1, Access::write);
    if (!store<u8>(core, linear, condition<C>(core.state.flags))) {
      return fault_at(core, op);
    }
    return next(core, op);
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
    const u64 linear = effective<A>(core, op, 2, Access::write);
    if (!store<u16>(core, linear, core.state.seg[op->r0].selector)) {
      return fault_at(core, op);
    }
    return next(core, op);
  }
};

}  // namespace softsnp::cpu
