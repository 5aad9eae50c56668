// The secrets page. Firmware sheet 3.1 (56860 "PAGE_TYPE_SECRETS"; guest area: GHCB 56421).
// Freestanding.
#pragma once

#include "arch/psp/vmsa_tweak.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

// TSC_FACTOR on Genoa, parts per 100000.
inline constexpr u32 genoa_tsc_factor = 200;

struct SecretsPage {
  static constexpr u32 version_1_55 = 3;
  static constexpr u32 flag_imi_en = 1;
  u32 version;
  u32 flags;
  u32 fms;  // CPUID 1 EAX of the physical processor
  u32 reserved_00c;
  u8 gosvw[0x10];
  u8 vmpck[4][0x20];
  // Guest area: written by guest software.
  u32 message_sequence_low[4];
  u64 ap_jump_table_gpa;
  u32 message_sequence_high[4];
  u8 reserved_0c8[0x16];
  u16 guest_area_version;
  u8 guest_usage[0x20];
  VmsaTweakBitmap vmsa_tweak_bitmap;
  // Written by an SVSM.
  u64 svsm_base;
  u64 svsm_size;
  u64 svsm_caa;
  u32 svsm_max_version;
  u8 svsm_guest_vmpl;
  u8 reserved_15d[3];
  u32 tsc_factor;
  u8 reserved_164[0xE9C];
};
static_assert(sizeof(SecretsPage) == page_size);
static_assert(__builtin_offsetof(SecretsPage, vmpck) == 0x020);
static_assert(__builtin_offsetof(SecretsPage, message_sequence_low) == 0x0A0);
static_assert(__builtin_offsetof(SecretsPage, ap_jump_table_gpa) == 0x0B0);
static_assert(__builtin_offsetof(SecretsPage, message_sequence_high) == 0x0B8);
static_assert(__builtin_offsetof(SecretsPage, guest_area_version) == 0x0DE);
static_assert(__builtin_offsetof(SecretsPage, vmsa_tweak_bitmap) == 0x100);
static_assert(__builtin_offsetof(SecretsPage, svsm_base) == 0x140);
static_assert(__builtin_offsetof(SecretsPage, svsm_guest_vmpl) == 0x15C);
static_assert(__builtin_offsetof(SecretsPage, tsc_factor) == 0x160);

}  // namespace softsnp::psp
