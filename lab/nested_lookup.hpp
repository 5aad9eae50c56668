// Where a gPA of a running guest lies, by walking the nested tables that its VMCB names.
#pragma once

#include <optional>

#include "arch/svm/vmcb.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::lab {

struct NestedLeaf {
  SystemPhysical entry;  // of the leaf entry itself
  u64 value = 0;
  SystemPhysical page;  // 4 KiB page of the gPA
  bool large = false;
};

// Nothing if the tables do not map the gPA.
std::optional<NestedLeaf> find_leaf(machine::HostPort& port, SystemPhysical nested_cr3,
                                    GuestPhysical gpa);
// The control area and plaintext save area of a VMCB.
svm::Vmcb read_vmcb(machine::HostPort& port, SystemPhysical at);

}  // namespace softsnp::lab
