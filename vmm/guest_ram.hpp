// A plan's RAM as memory slots: blocks of the VMM's memory and, for SNP guests, guest_memfds.
#pragma once

#include "image/launch_plan.hpp"
#include "vmm/ram_blocks.hpp"

namespace softsnp::vmm {

// Ranges with less than 2 MiB between them share a block that begins on a multiple of 2 MiB, as all
// of QEMU's memory below 4 GiB does: it is there behind the legacy video window too.
Result<void, kvm::Error> give_ram(kvm::Vm& vm, RamBlocks& blocks, const image::LaunchPlan& plan);

}  // namespace softsnp::vmm
