// What VMPL0 finds in its doorbell page about the interrupts of a VMPL that runs under alternate
// injection: the host presents, VMPL0 takes. GHCB sheet 4.4, per-VMPL descriptor.
#pragma once

#include <array>

#include "arch/ghcb/doorbell.hpp"

namespace softsnp::kvm {

// The changes to present one more interrupt. False: a level-triggered vector is still there, this
// one must wait.
bool present_edge(ghcb::VmplInterrupts& to, u8 vector);
bool present_level(ghcb::VmplInterrupts& to, u8 vector);
bool present_nmi(ghcb::VmplInterrupts& to);

// What VMPL0 leaves there when the host is to emulate the APIC again (event 8000001C).
struct HandedOver {
  std::array<u32, 8> irr{}, isr{};
  bool nmi = false;
};
HandedOver take_over(const ghcb::VmplInterrupts& from);

}  // namespace softsnp::kvm
