// How much DRAM the simulated server needs for a guest. DRAM is reserved, not committed: being
// generous costs nothing.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::cli {

// Private and shared backing of all guest memory, page tables and the host kernel's own use, and
// the RMP: 16 bytes for each page of DRAM and 16 KiB (hardware sheet 2). Whole GiB.
constexpr u64 dram_bytes_for(u64 guest_memory) {
  constexpr u64 host_use = u64{512} << 20;
  constexpr u64 rmp_bookkeeping = 16 << 10;
  const u64 without_rmp = 2 * guest_memory + host_use;
  // The RMP covers itself: a page of it serves 256 others.
  const u64 rmp = without_rmp / 255 + rmp_bookkeeping + page_size;
  return align_up(without_rmp + rmp, u64{1} << 30);
}

}  // namespace softsnp::cli
