// What the loader tells the SVSM: one measured page, and behind it the state that the guest's first
// vCPU starts in. Our own format; both are built together. Freestanding.
#pragma once

#include "arch/svm/vmsa.hpp"
#include "base/types.hpp"

namespace softsnp::boot {

// The SVSM is linked for this address and placed anywhere: its memory begins at a 2 MiB boundary
// in both spaces.
inline constexpr u64 svsm_virtual_base = 0xFFFFFFFF80000000;

struct SvsmRange {
  u64 start;
  u64 bytes;
};

struct SvsmLaunch {
  static constexpr u64 magic_value = 0x004D535653504E53;  // "SNPSVSM"
  static constexpr u32 max_ram = 8;
  static constexpr u32 max_unaccepted = 64;
  u64 magic;
  u32 vcpu_count;  // APIC ids from 0
  u32 guest_vmpl;
  SvsmRange own;  // closed to the guest
  u64 secrets;    // the firmware's page, which the guest sees after the SVSM has emptied it
  u64 calling_area;
  u32 c_bit;
  u32 ram_count;
  SvsmRange ram[max_ram];
  // RAM that the launch has not validated: the guest asks for it, piece by piece. Ascending.
  u32 unaccepted_count;
  u32 reserved;
  SvsmRange unaccepted[max_unaccepted];
};

// At a page boundary in the SVSM's memory; RDI at entry has its gPA, which is mapped one to one.
struct SvsmLaunchPages {
  union {
    SvsmLaunch launch;
    u8 raw[page_size];
  };
  svm::Vmsa guest;
};
static_assert(sizeof(SvsmLaunch) <= page_size && sizeof(SvsmLaunchPages) == 2 * page_size);

}  // namespace softsnp::boot
