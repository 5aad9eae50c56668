// The registers of a guest without SEV-ES, between a VMSA image and where hardware keeps them: the
// VMCB's save area and the core.
#pragma once

#include "arch/svm/vmcb.hpp"
#include "arch/svm/vmsa.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::kvm {

void load_state(const svm::Vmsa& from, svm::Vmcb& vmcb, machine::CoreRegisters& core);
// INIT: general registers, segments and control registers of real mode at the reset vector; MSRs,
// x87 and SSE state stay. signature: CPUID 1.EAX, in RDX. APM2 table 14-1; KVM: kvm_vcpu_reset().
void reset_registers(u32 signature, svm::Vmcb& vmcb, machine::CoreRegisters& core);
// RESET: that, caches off, and x87 and SSE as at power-on.
void power_on_registers(svm::Vmcb& vmcb, machine::CoreRegisters& core);
void save_state(const svm::Vmcb& vmcb, const machine::CoreRegisters& core, svm::Vmsa& to);

}  // namespace softsnp::kvm
