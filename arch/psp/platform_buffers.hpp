// Buffers of the platform commands. Firmware sheet 1.6 (56860 "Command reference"), legacy ones
// 7.1 (55766). Freestanding.
#pragma once

#include "arch/psp/tcb_version.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

struct SnpInitEx {
  static constexpr u32 init_rmp = 1, list_paddr_en = 2;
  u32 flags;
  u32 mbz_04;
  u64 list_paddr;
  u8 mbz_10[0x30];
};
static_assert(sizeof(SnpInitEx) == 0x40);

// Page ranges for SNP_INIT_EX and SNP_PAGE_SET_STATE; fits one page.
struct RangeListHeader {
  static constexpr u32 max_count = 255;
  u32 count;
  u32 mbz;
};
struct RangeListEntry {
  u64 base;
  u32 page_count;
  u32 mbz;
};
static_assert(sizeof(RangeListHeader) == 8 && sizeof(RangeListEntry) == 16);
static_assert(sizeof(RangeListHeader) + 255 * sizeof(RangeListEntry) <= page_size);

struct SnpShutdownEx {
  static constexpr u32 iommu_snp_shutdown = 1, x86_snp_shutdown = 2;
  u32 length;
  u32 flags;
};
static_assert(sizeof(SnpShutdownEx) == 8);

struct SnpPlatformStatusCommand {
  u64 status_paddr;
};
static_assert(sizeof(SnpPlatformStatusCommand) == 8);

struct SnpPlatformStatus {
  static constexpr u8 is_rmp_init = 1;
  static constexpr u32 mask_chip_id = 1, mask_chip_key = 2, vlek_en = 4, feature_info = 8;
  u8 api_major;
  u8 api_minor;
  u8 state;
  u8 rmp_flags;
  u32 build_id;
  u32 flags;
  u32 guest_count;
  TcbVersion current_tcb;
  TcbVersion reported_tcb;
};
static_assert(sizeof(SnpPlatformStatus) == 0x20);
static_assert(__builtin_offsetof(SnpPlatformStatus, guest_count) == 0x0C);
static_assert(__builtin_offsetof(SnpPlatformStatus, reported_tcb) == 0x18);

struct SnpConfig {
  static constexpr u32 mask_chip_id = 1, mask_chip_key = 2;
  TcbVersion reported_tcb;  // zero: the committed TCB
  u32 flags;
  u8 mbz[0x34];
};
static_assert(sizeof(SnpConfig) == 0x40);

struct SnpCommit {
  u32 length;
};

struct SnpVlekLoad {
  static constexpr u8 version_0 = 0;
  u32 length;
  u8 version;
  u8 mbz[3];
  u64 vlek_paddr;
};
static_assert(sizeof(SnpVlekLoad) == 0x10);

// A VLEK as AMD's key server hands it out, wrapped for one chip.
struct WrappedVlek {
  static constexpr usize hashstick_bytes = 0x180;
  static constexpr usize authenticated_from = 0x190, authenticated_bytes = 0x10;  // the AAD
  u8 iv[0xC];
  u32 mbz_00c;
  u8 hashstick[hashstick_bytes];
  TcbVersion tcb;
  u64 mbz_198;
  u8 auth_tag[0x10];
};
static_assert(sizeof(WrappedVlek) == 0x1B0);
static_assert(__builtin_offsetof(WrappedVlek, hashstick) == 0x010);
static_assert(__builtin_offsetof(WrappedVlek, tcb) == WrappedVlek::authenticated_from);
static_assert(__builtin_offsetof(WrappedVlek, auth_tag) == 0x1A0);

struct SnpFeatureInfo {
  u32 length;
  u32 ecx_in;
  u64 feature_paddr;
};
static_assert(sizeof(SnpFeatureInfo) == 0x10);

struct SnpFeatureInfoOutput {
  static constexpr u32 ebx_legacy_sev = 1, ecx_vlek = 1, ecx_x86_snp_shutdown = 2;
  u32 eax, ebx, ecx, edx;
};
static_assert(sizeof(SnpFeatureInfoOutput) == 0x10);

// Legacy PLATFORM_STATUS (004): the answer stands in the command buffer itself.
struct SevPlatformStatus {
  static constexpr u8 externally_owned = 1;
  static constexpr u16 config_es = 1;
  u8 api_major;
  u8 api_minor;
  u8 state;
  u8 owner;
  u16 config_flags;
  u8 mbz;
  u8 build_id;
  u32 guest_count;
};
static_assert(sizeof(SevPlatformStatus) == 0x0C);

// Legacy GET_ID (00C).
struct SevGetId {
  static constexpr u32 id_bytes = 0x40;
  u64 paddr;
  u32 length;
} __attribute__((packed));
static_assert(sizeof(SevGetId) == 0x0C);

}  // namespace softsnp::psp
