// A vCPU's CPUID: the table the VMM set, with the values that belong to the vCPU's state put in;
// and the table this hypervisor offers. linux-boot sheet 3; Linux arch/x86/kvm/cpuid.c.
#pragma once

#include <span>
#include <vector>

#include "hypervisor/kvm/kvm.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::kvm {

// What of a vCPU's state shows in CPUID.
struct CpuidState {
  u32 apic_id = 0;
  bool apic_enabled = true;
  u64 cr4 = 0;
  u64 xcr0 = 1;
  u64 xss = 0;
};

class CpuidTable {
 public:
  void set(std::span<const CpuidEntry> entries) { entries_.assign(entries.begin(), entries.end()); }
  // A leaf that is not in the table reads as zeros (AMD).
  machine::CpuidResult lookup(u32 leaf, u32 subleaf, const CpuidState& state) const;
  bool has_feature_1_ecx(unsigned bit_number) const;

 private:
  const CpuidEntry* find(u32 leaf, u32 subleaf) const;
  u32 xsave_bytes(u64 components, bool compacted) const;

  std::vector<CpuidEntry> entries_;
};

// KVM_GET_SUPPORTED_CPUID of this hypervisor on that processor.
std::vector<CpuidEntry> supported_cpuid(const machine::HostPort& port, VmType type);

}  // namespace softsnp::kvm
