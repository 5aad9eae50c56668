// Ends of a run in words.
#pragma once

#include <string>

#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::vmm {

// Reason set and code by name. GHCB sheet 2.3.
std::string termination_text(const kvm::TerminationExit& exit);

// The registers a hypervisor can see; of an SNP guest there are none.
std::string register_text(const svm::Vmsa& state);

}  // namespace softsnp::vmm
