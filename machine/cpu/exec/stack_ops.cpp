#include "machine/cpu/exec/stack_ops.hpp"

namespace softsnp::cpu {
namespace {

// Frame pointer as wide as the stack.
void set_frame_pointer(Core& core, u64 value) {
  u64& rbp = core.state.gpr[gpr::rbp];
  if (in_code64(core)) {
    rbp = value;
  } else if ((core.context & code_mode::stack32) != 0) {
    rbp = static_cast<u32>(value);
  } else {
    rbp = (rbp & ~u64{0xFFFF}) | (value & 0xFFFF);
  }
}

u64 stack_linear(Core& core, u64 offset, u32 size, Access access) {
  if (in_code64(core)) {
    return offset;
  }
  const u64 mask = (core.context & code_mode::stack32) != 0 ? 0xFFFFFFFF : 0xFFFF;
  return legacy_linear(core, static_cast<unsigned>(x86::Segment::ss), offset & mask, size, access);
}

}  // namespace

const Op* op_leave64(Core& core, const Op* op) {
  u64 value;
  const u64 frame = core.state.gpr[gpr::rbp];
  if (!load<u64>(core, frame, value)) {
    return stack_fault_at(core, op);
  }
  core.state.gpr[gpr::rsp] = frame + 8;
  core.state.gpr[gpr::rbp] = value;
  return next(core, op);
}

template <class T>
const Op* op_leave(Core& core, const Op* op) {
  const u64 old = core.state.gpr[gpr::rsp];
  move_stack(core, core.state.gpr[gpr::rbp] - old);
  T value{};
  if (!pop_any<T>(core, value)) {
    core.state.gpr[gpr::rsp] = old;
    return stack_fault_at(core, op);
  }
  set_reg<T>(core, gpr::rbp, value);
  return next(core, op);
}
template const Op* op_leave<u16>(Core&, const Op*);
template const Op* op_leave<u32>(Core&, const Op*);

// imm: bytes of locals, extra: nesting level. APM3, ENTER. The page under the new stack top is
// probed before anything is committed.
template <class T>
const Op* op_enter(Core& core, const Op* op) {
  const u64 old = core.state.gpr[gpr::rsp];
  const auto fail = [&] {
    core.state.gpr[gpr::rsp] = old;
    return stack_fault_at(core, op);
  };
  const unsigned level = op->extra & 31;
  u64 outer = core.state.gpr[gpr::rbp];
  if (!push_any<T>(core, static_cast<T>(outer))) {
    return fail();
  }
  const u64 frame = core.state.gpr[gpr::rsp];
  for (unsigned i = 1; i < level; ++i) {
    outer -= sizeof(T);
    T link{};
    if (!load<T>(core, stack_linear(core, outer, sizeof(T), Access::read), link) ||
        !push_any<T>(core, link)) {
      return fail();
    }
  }
  if (level != 0 && !push_any<T>(core, static_cast<T>(frame))) {
    return fail();
  }
  move_stack(core, static_cast<u64>(-static_cast<i64>(op->imm & 0xFFFF)));
  const u64 top = stack_linear(core, core.state.gpr[gpr::rsp], sizeof(T), Access::write);
  if (!probe_write_slow(core, top, sizeof(T))) {
    return fail();
  }
  if constexpr (sizeof(T) == 2) {
    set_reg<u16>(core, gpr::rbp, static_cast<u16>(frame));
  } else {
    set_frame_pointer(core, frame);
  }
  return next(core, op);
}
template const Op* op_enter<u16>(Core&, const Op*);
template const Op* op_enter<u32>(Core&, const Op*);
template const Op* op_enter<u64>(Core&, const Op*);

template <class T>
const Op* op_pusha(Core& core, const Op* op) {
  const u64 old = core.state.gpr[gpr::rsp];
  for (u8 number = gpr::rax; number <= gpr::rdi; ++number) {
    const u64 value = number == gpr::rsp ? old : core.state.gpr[number];
    if (!push_any<T>(core, static_cast<T>(value))) {
      core.state.gpr[gpr::rsp] = old;
      return stack_fault_at(core, op);
    }
  }
  return next(core, op);
}
template const Op* op_pusha<u16>(Core&, const Op*);
template const Op* op_pusha<u32>(Core&, const Op*);

template <class T>
const Op* op_popa(Core& core, const Op* op) {
  const u64 old = core.state.gpr[gpr::rsp];
  T values[8] = {};
  for (int number = gpr::rdi; number >= 0; --number) {
    if (!pop_any<T>(core, values[number])) {
      core.state.gpr[gpr::rsp] = old;
      return stack_fault_at(core, op);
    }
  }
  for (u8 number = gpr::rax; number <= gpr::rdi; ++number) {
    if (number != gpr::rsp) {
      set_reg<T>(core, number, values[number]);
    }
  }
  return next(core, op);
}
template const Op* op_popa<u16>(Core&, const Op*);
template const Op* op_popa<u32>(Core&, const Op*);

}  // namespace softsnp::cpu
