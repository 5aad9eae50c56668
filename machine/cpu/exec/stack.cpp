#include "machine/cpu/exec/stack.hpp"

namespace softsnp::cpu {
namespace {

constexpr unsigned stack_segment = static_cast<unsigned>(x86::Segment::ss);

u64 stack_mask(const Core& core) {
  return (core.context & code_mode::stack32) != 0 ? 0xFFFFFFFF : 0xFFFF;
}

}  // namespace

bool push_legacy(Core& core, u32 value, u32 size) {
  const u64 offset = (core.state.gpr[gpr::rsp] - size) & stack_mask(core);
  const u64 linear = legacy_linear(core, stack_segment, offset, size, Access::write);
  if (!store_bytes(core, linear, &value, size)) {
    return false;
  }
  move_stack(core, static_cast<u64>(-static_cast<i64>(size)));
  return true;
}

bool pop_legacy(Core& core, u32 size) {
  const u64 offset = core.state.gpr[gpr::rsp] & stack_mask(core);
  const u64 linear = legacy_linear(core, stack_segment, offset, size, Access::read);
  if (!load_bytes(core, linear, core.slow_value, size)) {
    return false;
  }
  move_stack(core, size);
  return true;
}

bool probe_push(Core& core, u32 size) {
  u64 at = core.state.gpr[gpr::rsp] - size;
  if (!in_code64(core)) {
    at = legacy_linear(core, stack_segment, at & stack_mask(core), size, Access::write);
  }
  return probe_write_slow(core, at, size);
}

}  // namespace softsnp::cpu
