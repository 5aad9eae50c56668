// Executes a launch plan: memory slots, pages, vCPUs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hypervisor/kvm/kvm.hpp"
#include "image/launch_plan.hpp"
#include "vmm/config.hpp"
#include "vmm/outcome.hpp"
#include "vmm/ram_blocks.hpp"

namespace softsnp::vmm {

struct LaunchedVm {
  std::unique_ptr<kvm::Vm> vm;
  std::vector<kvm::Vcpu*> vcpus;  // owned by vm; the first is the bootstrap processor
  // What the firmware changed in the CPUID page, one line a register.
  std::vector<std::string> corrected_cpuid;
  std::optional<kvm::SevMeasurement> measurement{};  // of an SEV or SEV-ES guest
  std::unique_ptr<RamBlocks> ram{};
  std::unique_ptr<EncryptedRam> encrypted_ram{};  // of an SEV or SEV-ES guest
};

// QEMU's order: VM, memory, vCPUs, LAUNCH_START, pages in the plan's order, LAUNCH_FINISH. A policy
// that is refused is the user's mistake, any other refusal ours.
Result<LaunchedVm, RunOutcome> launch(kvm::Kvm& kvm, const Config& config,
                                      const image::LaunchPlan& plan, kvm::Observer* observer);

}  // namespace softsnp::vmm
