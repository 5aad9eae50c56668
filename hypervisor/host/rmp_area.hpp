// Where the RMP lies: at the top of DRAM, aligned for CPU and AMD-SP. Hardware sheet 1.4.
#pragma once

#include "arch/address.hpp"
#include "arch/snp/rmp.hpp"
#include "base/bits.hpp"

namespace softsnp::host {

struct RmpArea {
  SystemPhysical base;
  u64 size = 0;
};

// Base and size are multiples of 1 MiB for the AMD-SP; the base is one of 2 MiB as well, so that
// only one frame of the allocator is broken.
constexpr RmpArea rmp_area(u64 dram_bytes) {
  const u64 entries = align_up(dram_bytes, page_size) / page_size;
  const u64 size =
      align_up(snp::rmp_bookkeeping_bytes + entries * sizeof(snp::RmpEntry), u64{1} << 20);
  if (size + large_page_size > dram_bytes) {
    return {};
  }
  return {SystemPhysical(align_down(dram_bytes - size, large_page_size)), size};
}

}  // namespace softsnp::host
