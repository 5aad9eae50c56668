#include "vmm/cpuid_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bits.hpp"
#include "base/bytes.hpp"

namespace softsnp::vmm {
namespace {

constexpr u32 bits32(unsigned high, unsigned low) {
  return static_cast<u32>(mask_bits(high, low));
}

// QEMU target/i386/sev.c masks these for SNP (firmware sheet 3.2); OSXSAVE must be 0 in the page
// (linux-boot sheet 3.2).
void mask_features(psp::CpuidEntry& entry) {
  if (entry.eax_in == 1) {
    entry.ecx &= ~(bits32(24, 24) | bits32(27, 27));  // TSC deadline, OSXSAVE
  } else if (entry.eax_in == 7 && entry.ecx_in == 0) {
    entry.ebx &= ~bits32(1, 1);    // TSC_ADJUST
    entry.ecx &= ~bits32(4, 4);    // OSPKE
    entry.edx &= ~bits32(31, 26);  // SPEC_CTRL, STIBP, L1D flush, two capability MSRs, SSBD
  } else if (entry.eax_in == 0x80000008) {
    entry.ebx &= ~bits32(25, 25);  // VIRT_SSBD
  } else if (entry.eax_in == 0x8000001F) {
    entry.ebx &= ~bits32(31, 16);  // reserved to the firmware (firmware sheet 3.2)
  }
}

// Sizes for XCR0 = 1: the guest computes its own from the component entries.
void fix_xsave(psp::CpuidEntry& entry) {
  constexpr u32 legacy_area_size = 0x240;
  if (entry.eax_in == 0xD && entry.ecx_in <= 1) {
    entry.xcr0_in = 1;
    entry.ebx = legacy_area_size;
  }
}

psp::CpuidPage parse(std::span<const u8> page) {
  psp::CpuidPage result{};
  if (page.size() == sizeof result) {
    result = load_le<psp::CpuidPage>(page.data());
  }
  return result;
}

void compare(std::vector<std::string>& lines, const psp::CpuidEntry& wanted,
             const psp::CpuidEntry& allowed) {
  const auto line = [&](const char* name, u32 before, u32 after) {
    if (before != after) {
      lines.push_back(fmt::format("CPUID {:#x}.{:#x} {}: wanted {:#x}, firmware allows {:#x}",
                                  wanted.eax_in, wanted.ecx_in, name, before, after));
    }
  };
  line("eax", wanted.eax, allowed.eax);
  line("ebx", wanted.ebx, allowed.ebx);
  line("ecx", wanted.ecx, allowed.ecx);
  line("edx", wanted.edx, allowed.edx);
}

}  // namespace

std::vector<psp::CpuidEntry> cpuid_page_entries(std::span<const kvm::CpuidEntry> supported) {
  std::vector<psp::CpuidEntry> entries;
  for (const kvm::CpuidEntry& from :
       supported.first(std::min<usize>(supported.size(), psp::CpuidPage::max_count))) {
    psp::CpuidEntry entry;
    entry.eax_in = from.leaf;
    entry.ecx_in = from.subleaf_significant ? from.subleaf : 0;
    entry.eax = from.eax;
    entry.ebx = from.ebx;
    entry.ecx = from.ecx;
    entry.edx = from.edx;
    mask_features(entry);
    fix_xsave(entry);
    entries.push_back(entry);
  }
  return entries;
}

unsigned c_bit(std::span<const kvm::CpuidEntry> supported) {
  constexpr u32 encryption_leaf = 0x8000001F;
  constexpr unsigned usual = 51;
  for (const kvm::CpuidEntry& entry : supported) {
    if (entry.leaf == encryption_leaf) {
      return static_cast<unsigned>(get_bits(entry.ebx, 5, 0));
    }
  }
  return usual;
}

std::vector<std::string> corrected_leaves(std::span<const u8> wanted,
                                          std::span<const u8> corrected) {
  const psp::CpuidPage before = parse(wanted);
  const psp::CpuidPage after = parse(corrected);
  const u32 count = std::min({before.count, after.count, psp::CpuidPage::max_count});
  std::vector<std::string> lines;
  for (u32 i = 0; i < count; ++i) {
    compare(lines, before.entries[i], after.entries[i]);
  }
  return lines;
}

}  // namespace softsnp::vmm
