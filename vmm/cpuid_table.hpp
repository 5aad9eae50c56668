// From KVM's CPUID list to the list that goes into the CPUID page. Firmware sheet 3.2.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "arch/psp/cpuid_page.hpp"
#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::vmm {

// In the list's order, at most 64 entries. What QEMU masks out before launch is masked out, and
// the XSAVE leaves get the inputs firmware checks them with.
std::vector<psp::CpuidEntry> cpuid_page_entries(std::span<const kvm::CpuidEntry> supported);

// Position of the C-bit, from leaf 8000001F; 51 if the list lacks it.
unsigned c_bit(std::span<const kvm::CpuidEntry> supported);

// One line for each entry that the firmware corrected: leaf, register, wanted and allowed value.
// Both are CPUID pages of 4096 bytes.
std::vector<std::string> corrected_leaves(std::span<const u8> wanted,
                                          std::span<const u8> corrected);

}  // namespace softsnp::vmm
