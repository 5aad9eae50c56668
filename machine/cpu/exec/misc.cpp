#include "machine/cpu/exec/misc.hpp"

namespace softsnp::cpu {

const Op* op_nop(Core& core, const Op* op) {
  return next(core, op);
}

const Op* op_pause(Core& core, const Op* op) {
  return core.pause_slow ? op_system(core, op) : next(core, op);
}

const Op* op_lahf(Core& core, const Op* op) {
  const u64 value = core.state.flags.pack() | x86::rflags::fixed1;
  set_reg<u8>(core, gpr::ah, static_cast<u8>(value));
  return next(core, op);
}

const Op* op_sahf(Core& core, const Op* op) {
  const u64 overflow = core.state.flags.pack() & x86::rflags::of;
  core.state.flags.unpack(overflow | get_reg<u8>(core, gpr::ah));
  return next(core, op);
}

const Op* op_clc(Core& core, const Op* op) {
  core.state.flags.set_cf(false);
  return next(core, op);
}

const Op* op_stc(Core& core, const Op* op) {
  core.state.flags.set_cf(true);
  return next(core, op);
}

const Op* op_cmc(Core& core, const Op* op) {
  core.state.flags.set_cf(!core.state.flags.cf());
  return next(core, op);
}

const Op* op_cld(Core& core, const Op* op) {
  core.state.system_flags &= ~x86::rflags::df;
  return next(core, op);
}

const Op* op_std(Core& core, const Op* op) {
  core.state.system_flags |= x86::rflags::df;
  return next(core, op);
}

const Op* op_xlat(Core& core, const Op* op) {
  const u64 sum = core.state.gpr[gpr::rbx] + get_reg<u8>(core, gpr::al);
  const u64 offset = op->address_bits == 64 ? sum : sum & ((u64{1} << op->address_bits) - 1);
  const u64 linear = in_code64(core) ? offset + core.seg_base[op->seg]
                                     : legacy_linear(core, op->seg, offset, 1, Access::read);
  u8 value;
  if (!load<u8>(core, linear, value)) {
    return fault_at(core, op);
  }
  set_reg<u8>(core, gpr::al, value);
  return next(core, op);
}

const Op* op_salc(Core& core, const Op* op) {
  set_reg<u8>(core, gpr::al, core.state.flags.cf() ? u8{0xFF} : u8{0});
  return next(core, op);
}

const Op* op_daa(Core& core, const Op* op) {
  set_accumulator<u16>(core, alu::daa(accumulator<u16>(core), core.state.flags));
  return next(core, op);
}

const Op* op_das(Core& core, const Op* op) {
  set_accumulator<u16>(core, alu::das(accumulator<u16>(core), core.state.flags));
  return next(core, op);
}

const Op* op_aaa(Core& core, const Op* op) {
  set_accumulator<u16>(core, alu::aaa(accumulator<u16>(core), core.state.flags));
  return next(core, op);
}

const Op* op_aas(Core& core, const Op* op) {
  set_accumulator<u16>(core, alu::aas(accumulator<u16>(core), core.state.flags));
  return next(core, op);
}

const Op* op_aad(Core& core, const Op* op) {
  const u16 ax = accumulator<u16>(core);
  set_accumulator<u16>(core, alu::aad(ax, immediate<u8>(op), core.state.flags));
  return next(core, op);
}

const Op* op_aam(Core& core, const Op* op) {
  const u8 base = immediate<u8>(op);
  if (base == 0) {
    return raise(core, op, x86::Vector::de);
  }
  set_accumulator<u16>(core, alu::aam(accumulator<u16>(core), base, core.state.flags));
  return next(core, op);
}

}  // namespace softsnp::cpu
