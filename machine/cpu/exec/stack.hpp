// Pushing and popping: RSP in 64-bit code; SP or ESP within SS in legacy modes
// (code_mode::stack32).
#pragma once

#include "machine/cpu/exec/operands.hpp"

namespace softsnp::cpu {

// Legacy modes; false: core.fault is set.
SOFTSNP_COLD bool push_legacy(Core& core, u32 value, u32 size);
// The value comes in Core::slow_value.
SOFTSNP_COLD bool pop_legacy(Core& core, u32 size);
// Whether a push of size bytes would succeed, in any mode; false: core.fault is set.
SOFTSNP_COLD bool probe_push(Core& core, u32 size);

// The stack pointer moved by delta, as wide as the stack is.
inline void move_stack(Core& core, u64 delta) {
  u64& rsp = core.state.gpr[gpr::rsp];
  if (in_code64(core)) {
    rsp += delta;
  } else if ((core.context & code_mode::stack32) != 0) {
    rsp = static_cast<u32>(rsp + delta);
  } else {
    rsp = (rsp & ~u64{0xFFFF}) | ((rsp + delta) & 0xFFFF);
  }
}

template <class T>
SOFTSNP_INLINE bool push64(Core& core, T value) {
  const u64 at = core.state.gpr[gpr::rsp] - sizeof(T);
  if (!store<T>(core, at, value)) {
    return false;
  }
  core.state.gpr[gpr::rsp] = at;
  return true;
}
template <class T>
SOFTSNP_INLINE bool pop64(Core& core, T& value) {
  if (!load<T>(core, core.state.gpr[gpr::rsp], value)) {
    return false;
  }
  core.state.gpr[gpr::rsp] += sizeof(T);
  return true;
}

// In any mode.
template <class T>
SOFTSNP_INLINE bool push_any(Core& core, T value) {
  if (in_code64(core)) {
    return push64<T>(core, value);
  }
  return push_legacy(core, static_cast<u32>(value), sizeof(T));
}
template <class T>
SOFTSNP_INLINE bool pop_any(Core& core, T& value) {
  if (in_code64(core)) {
    return pop64<T>(core, value);
  }
  const bool ok = pop_legacy(core, sizeof(T));
  value = load_le<T>(core.slow_value);
  return ok;
}

}  // namespace softsnp::cpu
