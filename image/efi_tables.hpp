// What firmware leaves behind for a kernel booted by EFI, as far as a direct boot has it: a system
// table with configuration tables, and runtime services that all answer EFI_UNSUPPORTED, which the
// runtime properties table announces. Linux calls none of them: an EFI node in its setup data says
// that the firmware's addresses are settled. UEFI 2.10 4.3, 4.5, 4.6, 8.
#pragma once

#include <vector>

#include "arch/boot/boot_params.hpp"
#include "arch/boot/efi.hpp"
#include "arch/boot/setup_data.hpp"
#include "image/launch_plan.hpp"

namespace softsnp::image {

// For low::efi_runtime_data; no more than a page.
std::vector<u8> efi_runtime_data(const LaunchPlan& plan);
// For low::efi_runtime_code.
std::vector<u8> efi_runtime_code();
boot::EfiNode efi_setup_node();
// For boot_params; the memory map has that many descriptors.
boot::EfiInfo efi_info(usize descriptors);

}  // namespace softsnp::image
