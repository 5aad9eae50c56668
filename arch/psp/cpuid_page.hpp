// The CPUID page. Firmware sheet 3.2 (56860 "PAGE_TYPE_CPUID"). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

struct CpuidEntry {
  u32 eax_in = 0;
  u32 ecx_in = 0;
  u64 xcr0_in = 0;
  u64 xss_in = 0;
  u32 eax = 0;
  u32 ebx = 0;
  u32 ecx = 0;
  u32 edx = 0;
  u64 mbz = 0;
  friend constexpr bool operator==(const CpuidEntry&, const CpuidEntry&) = default;
};
static_assert(sizeof(CpuidEntry) == 0x30 && __builtin_offsetof(CpuidEntry, eax) == 0x18);

struct CpuidPage {
  static constexpr u32 max_count = 64;
  u32 count;
  u32 mbz_04;
  u64 mbz_08;
  CpuidEntry entries[max_count];
  u8 rest[page_size - 0x10 - max_count * 0x30];
};
static_assert(sizeof(CpuidPage) == page_size && __builtin_offsetof(CpuidPage, entries) == 0x10);

}  // namespace softsnp::psp
