// Taking an event through the interrupt table, one function a mode. APM2 8.6-8.9.
// False: core.fault is set and the core's state is unchanged.
#pragma once

#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {

bool deliver_real(System& system, const Event& event);
bool deliver_protected(System& system, const Event& event);
bool deliver_long(System& system, const Event& event);

// EXT bit of error codes for faults met while event is delivered.
constexpr u32 external_bit(const Event& event) {
  return event.software() ? 0 : error_external;
}
// Error code that names the event's gate.
constexpr u32 gate_error(const Event& event) {
  return static_cast<u32>(event.vector) * 8 + error_idt + external_bit(event);
}
// RFLAGS as saved for event (APM2 3.1.6, RF).
u64 saved_rflags(const CoreState& state, const Event& event);
// Stores to the stack of an event: as CPL 3 if that is where it goes.
bool write_stack(System& system, u64 linear, const void* from, u32 size, u8 cpl);

}  // namespace softsnp::cpu
