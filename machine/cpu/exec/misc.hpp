// Handlers of conversions, flag instructions, no-operations, cache hints and decimal adjustments.
#pragma once

#include "machine/cpu/exec/alu_multiply.hpp"
#include "machine/cpu/exec/operands.hpp"

namespace softsnp::cpu {

const Op* op_nop(Core& core, const Op* op);
const Op* op_pause(Core& core, const Op* op);

// CBW, CWDE, CDQE: T is the result.
template <class T>
const Op* op_extend_accumulator(Core& core, const Op* op) {
  const u64 rax = core.state.gpr[gpr::rax];
  const u64 low = sizeof(T) == 2   ? alu::sign_extend(static_cast<u8>(rax))
                  : sizeof(T) == 4 ? alu::sign_extend(static_cast<u16>(rax))
                                   : alu::sign_extend(static_cast<u32>(rax));
  set_accumulator<T>(core, static_cast<T>(low));
  return next(core, op);
}
// CWD, CDQ, CQO.
template <class T>
const Op* op_sign_to_dx(Core& core, const Op* op) {
  set_reg<T>(core, gpr::rdx, alu::top_bit(accumulator<T>(core)) ? static_cast<T>(~T{0}) : T{0});
  return next(core, op);
}

const Op* op_lahf(Core& core, const Op* op);
const Op* op_sahf(Core& core, const Op* op);
const Op* op_clc(Core& core, const Op* op);
const Op* op_stc(Core& core, const Op* op);
const Op* op_cmc(Core& core, const Op* op);
const Op* op_cld(Core& core, const Op* op);
const Op* op_std(Core& core, const Op* op);
const Op* op_xlat(Core& core, const Op* op);

// CLFLUSH, CLFLUSHOPT, CLWB: checked as a read of one byte (APM3, CLFLUSH).
struct CacheLine {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    u8 ignored;
    if (!load<u8>(core, effective<A>(core, op), ignored)) {
      return fault_at(core, op);
    }
    return next(core, op);
  }
};

// BOUND: signed index against the pair in memory.
template <class T>
struct Bound {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    T bounds[2];
    if (!load_bytes(core, effective<A>(core, op, sizeof bounds), bounds, sizeof bounds)) {
      return fault_at(core, op);
    }
    const u64 index = alu::sign_extend(get_reg<T>(core, op->r0));
    if (static_cast<i64>(index) < static_cast<i64>(alu::sign_extend(bounds[0])) ||
        static_cast<i64>(index) > static_cast<i64>(alu::sign_extend(bounds[1]))) {
      return raise(core, op, x86::Vector::br);
    }
    return next(core, op);
  }
};

// Legacy modes.
const Op* op_salc(Core& core, const Op* op);
const Op* op_daa(Core& core, const Op* op);
const Op* op_das(Core& core, const Op* op);
const Op* op_aaa(Core& core, const Op* op);
const Op* op_aas(Core& core, const Op* op);
const Op* op_aad(Core& core, const Op* op);
const Op* op_aam(Core& core, const Op* op);

}  // namespace softsnp::cpu
