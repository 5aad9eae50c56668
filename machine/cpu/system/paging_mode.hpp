// Which values CR0, CR3, CR4 and EFER may hold on this processor. APM2 3.1, 15.5.1 (VMRUN's
// consistency checks use the same masks).
#pragma once

#include "arch/x86/registers.hpp"

namespace softsnp::cpu {

// What CPUID advertises (cpuid_table.cpp): no VME, PVI, UMIP, LA57, PKE, CET; no FFXSR, LMSLE.
inline constexpr u64 cr4_supported =
    x86::cr4::tsd | x86::cr4::de | x86::cr4::pse | x86::cr4::pae | x86::cr4::mce | x86::cr4::pge |
    x86::cr4::pce | x86::cr4::osfxsr | x86::cr4::osxmmexcpt | x86::cr4::fsgsbase | x86::cr4::pcide |
    x86::cr4::osxsave | x86::cr4::smep | x86::cr4::smap;
inline constexpr u64 cr0_defined = x86::cr0::pe | x86::cr0::mp | x86::cr0::em | x86::cr0::ts |
                                   x86::cr0::et | x86::cr0::ne | x86::cr0::wp | x86::cr0::am |
                                   x86::cr0::nw | x86::cr0::cd | x86::cr0::pg;
inline constexpr u64 efer_supported = x86::efer::sce | x86::efer::lme | x86::efer::lma |
                                      x86::efer::nxe | x86::efer::svme | x86::efer::tce;
inline constexpr u64 xcr0_supported = 3;  // x87, SSE
inline constexpr unsigned physical_bits = 52;
inline constexpr u64 cr3_reserved_long = mask_bits(63, physical_bits);
inline constexpr u64 cr3_no_flush = bit(63);  // MOV CR3 with CR4.PCIDE = 1

constexpr bool cr0_legal(u64 value) {
  const bool no_cache = (value & x86::cr0::cd) != 0;
  return (value >> 32) == 0 && (no_cache || (value & x86::cr0::nw) == 0);
}
constexpr bool cr0_legal_for_mov(u64 value) {
  const bool paging = (value & x86::cr0::pg) != 0;
  return cr0_legal(value) && (!paging || (value & x86::cr0::pe) != 0);
}
constexpr bool cr4_legal(u64 value) {
  return (value & ~cr4_supported) == 0;
}
constexpr bool xcr0_legal(u64 value) {
  return (value & 1) != 0 && (value & ~xcr0_supported) == 0;
}

}  // namespace softsnp::cpu
