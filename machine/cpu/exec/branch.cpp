#include "machine/cpu/exec/branch.hpp"

namespace softsnp::cpu {
namespace {

SOFTSNP_COLD const Op* return_lookup(Core& core, const Op* op, u64 target, u64 rsp) {
  if (!canonical(target)) {
    return bad_target(core, op);
  }
  core.state.gpr[gpr::rsp] = rsp;
  return stop_lookup(core, target, nullptr);
}

SOFTSNP_INLINE const Op* return64(Core& core, const Op* op, u64 drop) {
  const u64 rsp = core.state.gpr[gpr::rsp];
  const u8* from = known_for_read<u64>(core, rsp);
  if (from == nullptr) [[unlikely]] {
    return op_ret<u64>(core, op);
  }
  const u64 target = load_le<u64>(from);
  Block* block = cached_block(core, target);
  if (block == nullptr) [[unlikely]] {
    return return_lookup(core, op, target, rsp + 8 + drop);
  }
  core.state.gpr[gpr::rsp] = rsp + 8 + drop;
  return enter(core, block);
}

u64 counter(const Core& core, const Op* op) {
  const u64 rcx = core.state.gpr[gpr::rcx];
  return op->address_bits == 64 ? rcx : rcx & ((u64{1} << op->address_bits) - 1);
}
void set_counter(Core& core, const Op* op, u64 value) {
  if (op->address_bits == 16) {
    set_reg<u16>(core, gpr::rcx, static_cast<u16>(value));
  } else {
    core.state.gpr[gpr::rcx] = op->address_bits == 32 ? static_cast<u32>(value) : value;
  }
}

}  // namespace

const Op* bad_target(Core& core, const Op* op) {
  return raise_error(core, op, x86::Vector::gp, 0);
}

const Op* bad_call_target(Core& core, const Op* op, u32 size) {
  return probe_push(core, size) ? bad_target(core, op) : stack_fault_at(core, op);
}

const Op* op_jmp(Core& core, const Op* op) {
  return follow(core, op->imm, core.block->taken);
}

const Op* op_jmp_checked(Core& core, const Op* op) {
  return valid_target(core, op->imm) ? follow(core, op->imm, core.block->taken)
                                     : bad_target(core, op);
}

const Op* op_call64(Core& core, const Op* op) {
  const u64 top = core.state.gpr[gpr::rsp] - 8;
  u8* to = known_for_write<u64>(core, top);
  if (to == nullptr) [[unlikely]] {
    return op_call_rel<u64>(core, op);
  }
  store_le<u64>(to, core.block->end_rip);
  core.state.gpr[gpr::rsp] = top;
  return follow(core, op->imm, core.block->taken);
}

const Op* op_ret64(Core& core, const Op* op) {
  return return64(core, op, 0);
}

const Op* op_ret64_i(Core& core, const Op* op) {
  return return64(core, op, op->imm & 0xFFFF);
}

const Op* op_jrcxz(Core& core, const Op* op) {
  if (counter(core, op) == 0) {
    return op_jmp_checked(core, op);
  }
  return follow(core, core.block->end_rip, core.block->fall_through);
}

template <LoopWhile W>
const Op* op_loop(Core& core, const Op* op) {
  const u64 count = counter(core, op) - 1;
  const bool zero = core.state.flags.zf();
  const bool taken =
      (op->address_bits == 64 ? count != 0 : (count << (64 - op->address_bits)) != 0) &&
      (W == LoopWhile::counting || zero == (W == LoopWhile::equal));
  if (taken && !valid_target(core, op->imm)) {
    return bad_target(core, op);
  }
  set_counter(core, op, count);
  return taken ? follow(core, op->imm, core.block->taken)
               : follow(core, core.block->end_rip, core.block->fall_through);
}
template const Op* op_loop<LoopWhile::counting>(Core&, const Op*);
template const Op* op_loop<LoopWhile::equal>(Core&, const Op*);
template const Op* op_loop<LoopWhile::not_equal>(Core&, const Op*);

}  // namespace softsnp::cpu
