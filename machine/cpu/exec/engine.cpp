#include "machine/cpu/exec/engine.hpp"

namespace softsnp::cpu {

u64 rip_of(const Core& core, const Op* op) {
  const Block& block = *core.block;
  return block.rip + block.info[op - block.ops].rip_offset;
}

const Op* stop_at(Core& core, const Op* op, Stop why) {
  const Block& block = *core.block;
  const OpInfo& info = block.info[op - block.ops];
  core.state.rip = block.rip + info.rip_offset;
  core.budget += block.instruction_count - info.retired_before;
  core.stop = why;
  core.stop_op = op;
  return nullptr;
}

const Op* fault_at(Core& core, const Op* op) {
  if (op->seg == static_cast<u8>(x86::Segment::ss)) {
    return stack_fault_at(core, op);
  }
  return stop_at(core, op, Stop::fault);
}

const Op* stack_fault_at(Core& core, const Op* op) {
  Fault& fault = core.fault;
  if (fault.kind == FaultKind::exception && fault.vector == static_cast<u8>(x86::Vector::gp)) {
    fault.vector = static_cast<u8>(x86::Vector::ss);
  }
  return stop_at(core, op, Stop::fault);
}

const Op* stop_after(Core& core, const Op* op, Stop why) {
  return stop_at(core, op + 1, why);
}

const Op* stop_at_end(Core& core, Stop why) {
  core.state.rip = core.block->end_rip;
  core.stop = why;
  core.stop_op = nullptr;
  return nullptr;
}

const Op* raise(Core& core, const Op* op, x86::Vector vector) {
  core.fault = {FaultKind::exception, static_cast<u8>(vector), false, 0, 0};
  return stop_at(core, op, Stop::fault);
}

const Op* raise_error(Core& core, const Op* op, x86::Vector vector, u32 error_code) {
  core.fault = {FaultKind::exception, static_cast<u8>(vector), true, error_code, 0};
  return stop_at(core, op, Stop::fault);
}

const Op* stop_budget(Core& core, Block* block) {
  core.budget += block->instruction_count;
  core.state.rip = block->rip;
  core.stop = Stop::budget;
  return nullptr;
}

const Op* stop_lookup(Core& core, u64 rip, Link* link) {
  core.state.rip = rip;
  core.stop = Stop::need_block;
  core.stop_link = link;
  return nullptr;
}

const Op* op_system(Core& core, const Op* op) {
  return stop_at(core, op, Stop::system);
}

const Op* op_undefined(Core& core, const Op* op) {
  return raise(core, op, x86::Vector::ud);
}

const Op* op_too_long(Core& core, const Op* op) {
  return raise_error(core, op, x86::Vector::gp, 0);
}

const Op* op_count_memory_operands(Core& core, const Op* op) {
  core.counters.memory_operands += op->imm;
  return next(core, op);
}

const Op* op_fall_through(Core& core, const Op*) {
  return follow(core, core.block->end_rip, core.block->fall_through);
}

const Op* op_stale(Core& core, const Op* op) {
  stop_at(core, op, Stop::need_block);
  core.stop_link = nullptr;
  return nullptr;
}

void run(Core& core, Block* block) {
  core.stop = Stop::none;
  const Op* op = enter(core, block);
  while (op != nullptr) {
    op = op->fn(core, op);
  }
}

}  // namespace softsnp::cpu
