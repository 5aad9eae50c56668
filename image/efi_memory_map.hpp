// The EFI memory map of a plan: what GetMemoryMap() would have said last. UEFI 2.10 7.2.3.
#pragma once

#include <vector>

#include "arch/boot/efi.hpp"
#include "image/launch_plan.hpp"

namespace softsnp::image {

// Ascending, disjoint, neighbours of one type merged; covers the plan's RAM.
// Virtual addresses are physical ones.
std::vector<boot::efi::MemoryDescriptor> efi_memory_map(const LaunchPlan& plan);

}  // namespace softsnp::image
