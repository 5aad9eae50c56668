// Which pages of DRAM are free. Bookkeeping only: never touches a page. Deterministic (lowest
// address first) and keeps 2 MiB frames whole: single pages come from frames already broken.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "arch/address.hpp"

namespace softsnp::host {

class PageAllocator {
 public:
  struct Range {
    SystemPhysical first;
    u64 size = 0;
  };

  // Pages touched by a reserved range are never handed out.
  PageAllocator(u64 dram_bytes, std::span<const Range> reserved);

  std::optional<SystemPhysical> allocate(PageSize size);
  // Wholly inside where; otherwise as allocate().
  std::optional<SystemPhysical> allocate_within(PageSize size, const Range& where);
  // Pages of a 2 MiB allocation may come back one by one. Releasing a page that is not allocated
  // is a broken invariant.
  void release(SystemPhysical page, PageSize size);

  u64 free_pages() const { return free_pages_; }
  bool is_allocated(SystemPhysical page) const;

 private:
  static constexpr unsigned pages_per_frame = 512;
  using PageBits = std::array<u64, pages_per_frame / 64>;  // 1 = in use

  void reserve(const Range& range);
  void take_page(u64 page_number);
  void give_page(u64 page_number);
  std::optional<SystemPhysical> allocate_small(u64 first_page, u64 end_page);
  std::optional<u64> page_in_broken(u64 first_page, u64 end_page) const;
  std::optional<u64> first_free_frame();
  std::optional<u64> free_frame_within(u64 first, u64 end);
  void set_frame_free(u64 frame, bool is_free);

  u64 page_count_;
  u64 free_pages_ = 0;
  std::vector<u16> used_;           // pages in use, by frame
  std::vector<u64> free_frames_;    // bit set: no page of the frame is in use
  usize first_word_with_free_ = 0;  // no free frame lies in an earlier word
  std::map<u64, PageBits> broken_;  // frames with some pages in use and some free
};

}  // namespace softsnp::host
