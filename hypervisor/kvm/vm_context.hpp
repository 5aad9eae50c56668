// What a vCPU needs of its VM. Owned by the VM; references outlive the vCPUs.
#pragma once

#include <bitset>
#include <vector>

#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/kvm/core_asids.hpp"
#include "hypervisor/kvm/events.hpp"
#include "hypervisor/kvm/guest_memory.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "hypervisor/kvm/request_limiter.hpp"
#include "hypervisor/kvm/sev_guest.hpp"
#include "hypervisor/kvm/snp_guest.hpp"
#include "hypervisor/kvm/vcpu_set.hpp"

namespace softsnp::kvm {

// I/O and MSR permission maps: shared by all VMs of a type, only read by the processor.
struct PermissionMaps {
  SystemPhysical iopm;
  SystemPhysical msrpm;
};

struct VmContext {
  host::HostKernel& host;
  VmType type;
  Observer& observer;
  Counters& counters;
  GuestMemory& memory;
  SnpGuest& snp;  // idle in other VMs
  SevGuest& sev;  // idle in VMs that are not SEV or SEV-ES
  VcpuSet& vcpus;
  CoreAsids& core_asids;
  PermissionMaps maps;
  Asid plain_asid;

  u64 tsc_offset = 0;  // guest TSC - host TSC: guests start at 0
  u64 next_device_event = 0;
  std::bitset<256> level_vectors{};
  // GHCB sheet 3.4: one address per VM.
  u64 ap_jump_table = 0;
  bool certificate_exits = false;
  RequestLimiter request_limiter{};
  u64 vmsa_features = 0;             // of VMPL0, beside SNPActive
  bool alternate_injection = false;  // offered to the VMPLs below it
  // SEV_FEATURES of the first VMSA at each VMPL: later ones have the same injection mode.
  std::array<std::optional<u64>, vmpl_count> vmpl_features{};

  bool is_snp() const { return type == VmType::snp; }
  bool is_sev() const { return type == VmType::sev || type == VmType::sev_es; }
  bool hides_registers() const { return has_encrypted_state(type); }
  bool is_launched() const { return is_snp() ? snp.is_launched() : sev.is_launched(); }
  machine::HostPort& port() const { return host.port(); }
};

}  // namespace softsnp::kvm
