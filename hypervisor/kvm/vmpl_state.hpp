// What a vCPU has once for each VMPL: the hypervisor runs one VMSA per vCPU and VMPL, and exchanges
// this when another is to run. Guests without SNP have the first alone. svsm sheet 8.2.
#pragma once

#include <optional>

#include "arch/address.hpp"

namespace softsnp::kvm {

// What the guest asked for by AP creation and no VMRUN has seen yet.
struct PendingVmsa {
  std::optional<GuestPhysical> page;  // none: the VMSA is to go
};

// SEV-ES shows these only by write traps.
struct TrappedRegisters {
  u64 cr0 = 0, cr4 = 0, efer = 0;
};

// On their way into the guest.
struct EventState {
  u64 interrupted = 0;           // EXITINTINFO to deliver again
  std::optional<u64> exception;  // EVENTINJ of a queued #GP, #UD, #PF
  bool nmi_masked = false;
  std::optional<u64> iret_at;  // RIP of the intercepted IRET that unmasks NMIs
};

struct VmplState {
  std::optional<SystemPhysical> vmsa;
  std::optional<GuestPhysical> vmsa_gpa;  // none: KVM's own page, measured at launch
  u64 found_at_zap = 0;                   // GuestMemory::zap_count() when vmsa was looked up
  std::optional<PendingVmsa> pending;
  u64 pending_features = 0;
  u64 sev_features = 0;  // as AP creation named them
  std::optional<GuestPhysical> registered_ghcb;
  TrappedRegisters trapped;
  EventState events;
  // In the VMCB and the local APIC while this VMPL is the one that runs.
  u64 ghcb_msr = 0;
  u64 interrupt_state = 0;
  u8 tpr = 0;
};

}  // namespace softsnp::kvm
