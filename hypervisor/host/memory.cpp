#include "hypervisor/host/memory.hpp"

#include <algorithm>
#include <array>

#include "hypervisor/host/rmp_area.hpp"

namespace softsnp::host {
namespace {

// The first MiB is left alone as on a PC; so sPA 0 never names an allocated page.
constexpr u64 low_area_bytes = u64{1} << 20;

PageAllocator make_allocator(const machine::HostPort& port) {
  const RmpArea rmp = rmp_area(port.dram_bytes());
  // Up to the next 2 MiB: what shares a large mapping with the RMP, whose pages are the firmware's,
  // could only be written through small ones (Linux's snp_fixup_e820_tables()).
  const std::array<PageAllocator::Range, 2> reserved{
      PageAllocator::Range{SystemPhysical(0), low_area_bytes},
      PageAllocator::Range{rmp.base, align_up(rmp.size, large_page_size)}};
  return PageAllocator(port.dram_bytes(), reserved);
}

}  // namespace

HostMemory::HostMemory(machine::HostPort& port, const DirectMapConfig& direct_map)
    : port_(port), allocator_(make_allocator(port)), direct_map_(port, allocator_, direct_map) {}

std::optional<SystemPhysical> HostMemory::allocate(PageSize size) {
  if (gate_ != nullptr && !gate_->allows(size)) {
    return std::nullopt;
  }
  return allocator_.allocate(size);
}

std::optional<SystemPhysical> HostMemory::allocate_within(PageSize size,
                                                          const PageAllocator::Range& where) {
  if (gate_ != nullptr && !gate_->allows(size)) {
    return std::nullopt;
  }
  return allocator_.allocate_within(size, where);
}

std::optional<SystemPhysical> HostMemory::allocate_contiguous(unsigned pages) {
  const auto frame = allocate(PageSize::size_2m);
  if (!frame) {
    return std::nullopt;
  }
  for (u64 offset = pages * page_size; offset < large_page_size; offset += page_size) {
    allocator_.release(*frame + offset, PageSize::size_4k);
  }
  return frame;
}

void HostMemory::release(SystemPhysical page, PageSize size) {
  if (size == PageSize::size_2m && direct_map_.clear_large_page(page)) {
    allocator_.release(page, size);
    return;
  }
  for (u64 offset = 0; offset < bytes(size); offset += page_size) {
    if (clear_page(page + offset)) {
      allocator_.release(page + offset, PageSize::size_4k);
    } else {
      leak(page + offset, PageSize::size_4k);
    }
  }
}

void HostMemory::leak(SystemPhysical page, PageSize size) {
  const bool known = std::any_of(leaked_.begin(), leaked_.end(), [&](const LeakedPage& leaked) {
    return page >= leaked.page && page - leaked.page < bytes(leaked.size);
  });
  if (!known) {
    leaked_.push_back({page, size});
  }
}

u64 HostMemory::leaked_pages() const {
  u64 pages = 0;
  for (const LeakedPage& leaked : leaked_) {
    pages += bytes(leaked.size) / page_size;
  }
  return pages;
}

void HostMemory::load_own(SystemPhysical at, std::span<u8> to) {
  if (!load(at, to)) {
    broken_invariant("a load from a page of the host kernel faulted");
  }
}

void HostMemory::store_own(SystemPhysical at, std::span<const u8> from) {
  if (!store(at, from)) {
    broken_invariant("a store to a page of the host kernel faulted");
  }
}

}  // namespace softsnp::host
