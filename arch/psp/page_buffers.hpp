// Buffers of SNP_PAGE_MOVE, MD_INIT, SWAP_OUT and SWAP_IN. Firmware sheet 1.6. Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

struct SnpPageMove {
  static constexpr u32 size_2m = 1;
  u64 gctx_paddr;
  u32 flags;
  u32 mbz;
  u64 src_paddr;
  u64 dst_paddr;
};
static_assert(sizeof(SnpPageMove) == 0x20 && __builtin_offsetof(SnpPageMove, src_paddr) == 0x10);

struct SnpPageMdInit {
  u64 gctx_paddr;
  u64 page_paddr;
};
static_assert(sizeof(SnpPageMdInit) == 0x10);

// SWAP_OUT and SWAP_IN.
struct SnpPageSwap {
  static constexpr u32 size_2m = 1, in_place = 1u << 3, root_mdata_en = 1u << 4;
  static constexpr unsigned type_shift = 1;
  u64 gctx_paddr;
  u64 src_paddr;
  u64 dst_paddr;
  u64 mdata_paddr;
  u64 software_data;
  u32 flags;
  u32 mbz;
};
static_assert(sizeof(SnpPageSwap) == 0x30 && __builtin_offsetof(SnpPageSwap, flags) == 0x28);
enum class SwapPageType : u8 { data = 0, metadata = 1, vmsa = 2 };

inline constexpr u64 metadata_entry_bytes = 0x40;

}  // namespace softsnp::psp
