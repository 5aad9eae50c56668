// Two NUMA nodes: the lower and the upper half of DRAM, cut at a multiple of 2 MiB.
#pragma once

#include "hypervisor/host/page_allocator.hpp"

namespace softsnp::host {

inline constexpr unsigned node_count = 2;

constexpr SystemPhysical node_border(u64 dram_bytes) {
  return SystemPhysical(align_down(dram_bytes / 2, large_page_size));
}
constexpr unsigned node_of(SystemPhysical page, u64 dram_bytes) {
  return page < node_border(dram_bytes) ? 0 : 1;
}
constexpr PageAllocator::Range node_range(unsigned node, u64 dram_bytes) {
  const SystemPhysical border = node_border(dram_bytes);
  return node == 0 ? PageAllocator::Range{SystemPhysical(0), border.value()}
                   : PageAllocator::Range{border, dram_bytes - border.value()};
}

}  // namespace softsnp::host
