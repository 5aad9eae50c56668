// CPUID as a VMM gives it to its vCPUs: what KVM supports, with the topology of the guest: one
// socket, a core for each vCPU, no SMT. What differs from vCPU to vCPU (APIC ids) the hypervisor
// fills in. APM3 appendix E; QEMU target/i386/cpu.c cpu_x86_cpuid().
#pragma once

#include <vector>

#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::vmm {

// 1 to 255 vCPUs.
std::vector<kvm::CpuidEntry> guest_cpuid(const kvm::Kvm& kvm, kvm::VmType type, unsigned vcpus);

}  // namespace softsnp::vmm
