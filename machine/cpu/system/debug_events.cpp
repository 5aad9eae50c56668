// Single stepping and instruction breakpoints. APM2 13.1.
#include "machine/cpu/system/system.hpp"

namespace softsnp::cpu {

// APM2 13.1.4: a #DB trap behind the instruction that began with TF set.
Outcome System::single_step_trap() {
  CoreState& s = state();
  Event event;
  event.kind = EventKind::trap;
  event.vector = static_cast<u8>(x86::Vector::db);
  event.return_rip = s.rip;
  Event taken;
  s.dr6 |= bit(14);  // BS; an intercepting host or #VC handler reads it too
  return event_from_exception(event, 0, 0, 0, taken) ? take(taken) : Outcome::vmexit;
}

Outcome System::breakpoint_fault(u64 dr6_bits) {
  Event event;
  // Not EventKind::exception: RF stays clear in the saved image, the handler sets it.
  event.kind = EventKind::trap;
  event.vector = static_cast<u8>(x86::Vector::db);
  event.return_rip = state().rip;
  Event taken;
  state().dr6 |= dr6_bits;
  return event_from_exception(event, 0, 0, 0, taken) ? take(taken) : Outcome::vmexit;
}

bool System::stepping() const {
  constexpr u64 enables = 0xFF;
  const CoreState& s = core_.state;
  if ((s.system_flags & x86::rflags::tf) != 0) {
    return true;
  }
  if ((s.dr7 & enables) == 0) [[likely]] {
    return false;
  }
  for (unsigned n = 0; n < 4; ++n) {
    if (get_bits(s.dr7, 2 * n + 1, 2 * n) != 0 && get_bits(s.dr7, 17 + 4 * n, 16 + 4 * n) == 0) {
      return true;
    }
  }
  return false;
}

// APM2 13.1.3: R/W 00 (execution), LEN 00.
bool System::breakpoint_hit(u64& dr6_bits) const {
  const CoreState& s = core_.state;
  dr6_bits = 0;
  if ((s.system_flags & x86::rflags::rf) != 0) {
    return false;
  }
  const u64 linear = s.code64() ? s.rip : static_cast<u32>(s.seg[1].base + s.rip);
  for (unsigned n = 0; n < 4; ++n) {
    const bool enabled = get_bits(s.dr7, 2 * n + 1, 2 * n) != 0;
    if (enabled && get_bits(s.dr7, 19 + 4 * n, 16 + 4 * n) == 0 && s.dr[n] == linear) {
      dr6_bits |= bit(n);
    }
  }
  return dr6_bits != 0;
}

}  // namespace softsnp::cpu
