// VMLOAD and VMSAVE: the state that VMRUN does not move. APM2 15.5.2.
#pragma once

#include "machine/cpu/system/system.hpp"

namespace softsnp::cpu {

// Page-aligned and in DRAM; else #GP(0).
bool vm_page_legal(System& system, SystemPhysical page);
void vm_load(System& system, SystemPhysical vmcb);
void vm_save(System& system, SystemPhysical vmcb);

}  // namespace softsnp::cpu
