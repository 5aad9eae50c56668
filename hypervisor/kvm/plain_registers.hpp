// The registers of a guest without SEV-ES, between a VMSA image and where hardware keeps them: the
// VMCB's save area and the core.
#pragma once

#include "arch/svm/vmcb.hpp"
#include "arch/svm/vmsa.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::kvm {

void load_state(const svm::Vmsa& from, svm::Vmcb& vmcb, machine::CoreRegisters& core);
void save_state(const svm::Vmcb& vmcb, const machine::CoreRegisters& core, svm::Vmsa& to);

}  // namespace softsnp::kvm
