// The parts of the #VC handler: each emulates one kind of instruction, decoded already.
#pragma once

#include "guest/runtime/vc_handler.hpp"

namespace softsnp::guest {

struct VcEvent {
  VcState& state;
  Frame& frame;
  const decode::Instruction& instruction;

  GhcbClient& ghcb() const { return state.ghcb; }
  bool user() const { return (frame.cs & 3) == 3; }
  void finish() const { frame.rip += instruction.length; }
};

inline Exception general_protection() {
  return {static_cast<u8>(x86::Vector::gp), true, 0};
}

Handled<void> emulate_port(const VcEvent& event);
Handled<void> emulate_string_port(const VcEvent& event);
Handled<void> emulate_cpuid(const VcEvent& event);
Handled<void> emulate_msr(const VcEvent& event);
Handled<void> emulate_counter(const VcEvent& event);  // RDTSC, RDTSCP, RDPMC
Handled<void> emulate_vmmcall(const VcEvent& event);
Handled<void> emulate_cache_flush(const VcEvent& event);
Handled<void> emulate_debug_register(const VcEvent& event);
Handled<void> emulate_mmio(const VcEvent& event);

// The address of the memory operand.
GuestVirtual effective_address(const VcEvent& event);
u64 segment_base(const VcEvent& event);

}  // namespace softsnp::guest
