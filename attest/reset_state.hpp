// The first state of a vCPU as the virtual machine monitors of the world make it for an OVMF or
// SVSM image: what the VMSA holds when it is measured. Firmware sheet 2.2.
#pragma once

#include <optional>
#include <string_view>

#include "arch/svm/vmsa.hpp"

namespace softsnp::attest {

enum class VmmType : u8 { qemu, ec2, gce };

// The first instruction, for all vCPUs but those that the image sends elsewhere.
inline constexpr u32 reset_vector = 0xFFFFFFF0;

// signature: CPUID 1 EAX, which only QEMU puts into RDX.
svm::Vmsa reset_state(VmmType vmm, u32 eip, u32 signature, u64 sev_features);

// COCONUT-SVSM under QEMU: 32-bit protected mode.
svm::Vmsa svsm_state(u32 eip, u32 signature);

// CPUID 1 EAX of QEMU's CPU models, by name as in -cpu, with or without a version.
std::optional<u32> cpu_signature(std::string_view model);
// The same from the numbers that /proc/cpuinfo shows. Nothing if they do not fit.
std::optional<u32> cpu_signature(u64 family, u64 model, u64 stepping);

}  // namespace softsnp::attest
