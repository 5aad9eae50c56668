// Buffers of the guest, launch, debug and page commands. Firmware sheet 1.6 (56860 "Command
// reference"). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

// SNP_GCTX_CREATE, SNP_DECOMMISSION.
struct SnpGuestContextOnly {
  u64 gctx_paddr;
};
static_assert(sizeof(SnpGuestContextOnly) == 8);

struct SnpActivate {
  u64 gctx_paddr;
  u32 asid;
} __attribute__((packed));
static_assert(sizeof(SnpActivate) == 0x0C);

struct SnpActivateEx {
  u32 length;
  u32 mbz;
  u64 gctx_paddr;
  u32 asid;
  u32 num_ids;
  u64 ids_paddr;
};
static_assert(sizeof(SnpActivateEx) == 0x20 && __builtin_offsetof(SnpActivateEx, gctx_paddr) == 8);

struct SnpGuestStatusCommand {
  u64 gctx_paddr;
  u64 status_paddr;
};
static_assert(sizeof(SnpGuestStatusCommand) == 0x10);

struct SnpGuestStatus {
  static constexpr u8 vcek_dis = 1;
  u64 policy;
  u32 asid;
  u8 state;
  u8 reserved_0d[3];
  u8 flags;
  u8 reserved_11[0xF];
};
static_assert(sizeof(SnpGuestStatus) == 0x20 && __builtin_offsetof(SnpGuestStatus, flags) == 0x10);

struct SnpLaunchStart {
  static constexpr u32 ma_en = 1, imi_en = 2;
  u64 gctx_paddr;
  u64 policy;
  u64 ma_gctx_paddr;
  u32 flags;
  u32 desired_tsc_khz;
  u8 gosvw[0x10];
};
static_assert(sizeof(SnpLaunchStart) == 0x30 && __builtin_offsetof(SnpLaunchStart, gosvw) == 0x20);

enum class PageType : u8 {
  normal = 1,
  vmsa = 2,
  zero = 3,
  unmeasured = 4,
  secrets = 5,
  cpuid = 6,
};

struct SnpLaunchUpdate {
  static constexpr u32 size_2m = 1, imi_page = 0x10;
  u64 gctx_paddr;
  u32 flags;
  u32 mbz_0c;
  u64 page_paddr;
  u8 mbz_18;
  u8 vmpl_permissions[3];  // VMPL1..VMPL3
  u32 mbz_1c;
};
static_assert(sizeof(SnpLaunchUpdate) == 0x20);
static_assert(__builtin_offsetof(SnpLaunchUpdate, vmpl_permissions) == 0x19);

struct SnpLaunchFinish {
  static constexpr u64 id_block_en = 1, auth_key_en = 2, vcek_dis = 4;
  u64 gctx_paddr;
  u64 id_block_paddr;
  u64 id_auth_paddr;
  u64 flags;
  u8 host_data[0x20];
};
static_assert(sizeof(SnpLaunchFinish) == 0x40);

// SNP_DBG_DECRYPT, SNP_DBG_ENCRYPT.
struct SnpDebug {
  u64 gctx_paddr;
  u64 src_paddr;
  u64 dst_paddr;
};
static_assert(sizeof(SnpDebug) == 0x18);

// SNP_GUEST_REQUEST.
struct SnpGuestRequest {
  u64 gctx_paddr;
  u64 request_paddr;
  u64 response_paddr;
};
static_assert(sizeof(SnpGuestRequest) == 0x18);

struct SnpPageMdInit {
  u64 gctx_paddr;
  u64 page_paddr;
};
static_assert(sizeof(SnpPageMdInit) == 0x10);

struct SnpPageMove {
  static constexpr u32 size_2m = 1;
  u64 gctx_paddr;
  u32 flags;
  u32 mbz_0c;
  u64 src_paddr;
  u64 dst_paddr;
};
static_assert(sizeof(SnpPageMove) == 0x20 && __builtin_offsetof(SnpPageMove, src_paddr) == 0x10);

enum class SwapType : u8 { data = 0, metadata = 1, vmsa = 2 };

// SNP_PAGE_SWAP_OUT, SNP_PAGE_SWAP_IN.
struct SnpPageSwap {
  static constexpr u64 size_2m = 1, in_place = 8, root_mdata_en = 0x10;
  u64 gctx_paddr;
  u64 src_paddr;
  u64 dst_paddr;
  u64 mdata_paddr;
  u64 software_data;
  u64 flags;

  constexpr bool root() const { return (flags & root_mdata_en) != 0; }
};
static_assert(sizeof(SnpPageSwap) == 0x30 && __builtin_offsetof(SnpPageSwap, flags) == 0x28);

constexpr SwapType swap_type(const SnpPageSwap& swap) {
  return static_cast<SwapType>(swap.flags >> 1 & 3);
}

// What a metadata page holds of a page that was swapped out. Firmware sheet 1.6 ("MDATA entry").
struct MdataEntry {
  static constexpr u64 valid = 1, page_validated = 2, vmsa = 4, metadata = 8, size_2m = 0x10,
                       gpa_mask = ~u64{0xFFF};
  u64 software_data;
  u64 iv;
  u8 auth_tag[0x10];
  u64 page;  // flags above and the gPA
  u64 vmpl_permissions;
  u8 mbz_30[0x10];
};
static_assert(sizeof(MdataEntry) == 0x40 && __builtin_offsetof(MdataEntry, page) == 0x20);

struct SnpPageReclaim {
  static constexpr u64 size_2m = 1;
  u64 page_paddr;  // bit 0: PAGE_SIZE
};
static_assert(sizeof(SnpPageReclaim) == 8);

struct SnpPageUnsmash {
  u64 page_paddr;
};
static_assert(sizeof(SnpPageUnsmash) == 8);

struct SnpPageSetState {
  u32 length;
  u32 mbz;
  u64 list_paddr;
};
static_assert(sizeof(SnpPageSetState) == 0x10);

}  // namespace softsnp::psp
