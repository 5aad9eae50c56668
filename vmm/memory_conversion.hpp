// Private or shared: the VMM's answers to the guest's requests, as QEMU gives them. GHCB sheet 5.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hypervisor/kvm/kvm.hpp"
#include "image/launch_plan.hpp"

namespace softsnp::vmm {

class MemoryConversion {
 public:
  // ram: ascending, as in a launch plan.
  MemoryConversion(kvm::Vm& vm, std::vector<image::RamRange> ram) : vm_(vm), ram_(std::move(ram)) {}

  // KVM_HC_MAP_GPA_RANGE. Returns the hypercall's result: 0, or an errno for the guest. QEMU stops
  // the VM where this refuses; here the guest gets the error, which the protocol provides for.
  u64 map_gpa_range(const kvm::HypercallExit& exit);

  // An access that disagrees with the attribute: convert and retry. A text if that cannot help.
  std::optional<std::string> memory_fault(const kvm::MemoryFaultExit& exit);

 private:
  struct LastFault {
    GuestPhysical page;
    u64 since = 0;  // when the first of the series came
    u32 repeats = 0;
  };
  bool repeats_without_progress(GuestPhysical page);
  Result<void, kvm::Error> convert(GuestPhysical start, GuestPhysical end, bool to_private);

  kvm::Vm& vm_;
  std::vector<image::RamRange> ram_;
  LastFault last_;
};

}  // namespace softsnp::vmm
