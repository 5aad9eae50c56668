#include "hypervisor/host/page_allocator.hpp"

#include <algorithm>

#include "hypervisor/host/error.hpp"

namespace softsnp::host {

PageAllocator::PageAllocator(u64 dram_bytes, std::span<const Range> reserved)
    : page_count_(dram_bytes / page_size) {
  const u64 frames = (page_count_ + pages_per_frame - 1) / pages_per_frame;
  used_.resize(frames);
  free_frames_.resize((frames + 63) / 64);
  free_pages_ = frames * pages_per_frame;
  for (u64 frame = 0; frame < frames; ++frame) {
    set_frame_free(frame, true);
  }
  for (u64 page = page_count_; page < frames * pages_per_frame; ++page) {
    take_page(page);
  }
  for (const Range& range : reserved) {
    reserve(range);
  }
}

void PageAllocator::reserve(const Range& range) {
  const u64 first = range.first.page_number();
  const u64 end = std::min(page_count_, (range.first.value() + range.size + page_size - 1) >> 12);
  for (u64 page = first; page < end; ++page) {
    if (!is_allocated(SystemPhysical(page << page_shift))) {
      take_page(page);
    }
  }
}

bool PageAllocator::is_allocated(SystemPhysical page) const {
  const u64 n = page.page_number();
  const u64 frame = n / pages_per_frame;
  if (frame >= used_.size()) {
    return true;
  }
  if (used_[frame] == 0 || used_[frame] == pages_per_frame) {
    return used_[frame] != 0;
  }
  const unsigned index = n % pages_per_frame;
  return has_bit(broken_.at(frame)[index / 64], index % 64);
}

void PageAllocator::set_frame_free(u64 frame, bool is_free) {
  const u64 mask = bit(frame % 64);
  if (is_free) {
    free_frames_[frame / 64] |= mask;
    first_word_with_free_ = std::min<usize>(first_word_with_free_, frame / 64);
  } else {
    free_frames_[frame / 64] &= ~mask;
  }
}

void PageAllocator::take_page(u64 page_number) {
  const u64 frame = page_number / pages_per_frame;
  const unsigned index = page_number % pages_per_frame;
  if (used_[frame] == 0) {
    set_frame_free(frame, false);
    broken_[frame] = PageBits{};
  }
  broken_[frame][index / 64] |= bit(index % 64);
  --free_pages_;
  if (++used_[frame] == pages_per_frame) {
    broken_.erase(frame);
  }
}

void PageAllocator::give_page(u64 page_number) {
  const u64 frame = page_number / pages_per_frame;
  const unsigned index = page_number % pages_per_frame;
  if (frame >= used_.size() || !is_allocated(SystemPhysical(page_number << page_shift))) {
    broken_invariant("a page was released that is not allocated");
  }
  if (used_[frame] == pages_per_frame) {
    PageBits all;
    all.fill(~u64{0});
    broken_[frame] = all;
  }
  broken_[frame][index / 64] &= ~bit(index % 64);
  ++free_pages_;
  if (--used_[frame] == 0) {
    broken_.erase(frame);
    set_frame_free(frame, true);
  }
}

std::optional<u64> PageAllocator::first_free_frame() {
  for (; first_word_with_free_ < free_frames_.size(); ++first_word_with_free_) {
    if (const u64 word = free_frames_[first_word_with_free_]; word != 0) {
      return first_word_with_free_ * 64 + static_cast<u64>(__builtin_ctzll(word));
    }
  }
  return std::nullopt;
}

// A frame of [first, end) without a page in use.
std::optional<u64> PageAllocator::free_frame_within(u64 first, u64 end) {
  if (first == 0 && end >= used_.size()) {
    return first_free_frame();
  }
  for (u64 frame = first; frame < end; ++frame) {
    if (has_bit(free_frames_[frame / 64], frame % 64)) {
      return frame;
    }
  }
  return std::nullopt;
}

std::optional<u64> PageAllocator::page_in_broken(u64 first_page, u64 end_page) const {
  for (auto it = broken_.lower_bound(first_page / pages_per_frame); it != broken_.end(); ++it) {
    const auto& [frame, bits] = *it;
    if (frame * pages_per_frame >= end_page) {
      break;
    }
    for (usize word = 0; word < bits.size(); ++word) {
      for (u64 free = ~bits[word]; free != 0; free &= free - 1) {
        const u64 page =
            frame * pages_per_frame + word * 64 + static_cast<u64>(__builtin_ctzll(free));
        if (page >= first_page && page < end_page) {
          return page;
        }
      }
    }
  }
  return std::nullopt;
}

std::optional<SystemPhysical> PageAllocator::allocate_small(u64 first_page, u64 end_page) {
  std::optional<u64> page = page_in_broken(first_page, end_page);
  if (!page) {
    // The frame at an unaligned beginning of the range is only partly inside.
    const auto frame = free_frame_within(first_page / pages_per_frame,
                                         (end_page + pages_per_frame - 1) / pages_per_frame);
    if (!frame) {
      return std::nullopt;
    }
    page = std::max(*frame * pages_per_frame, first_page);
  }
  take_page(*page);
  return SystemPhysical(*page << page_shift);
}

std::optional<SystemPhysical> PageAllocator::allocate_within(PageSize size, const Range& where) {
  const u64 first = where.first.page_number();
  const u64 end = std::min(page_count_, (where.first.value() + where.size) >> page_shift);
  if (first >= end) {
    return std::nullopt;
  }
  if (size == PageSize::size_4k) {
    return allocate_small(first, end);
  }
  const auto frame =
      free_frame_within((first + pages_per_frame - 1) / pages_per_frame, end / pages_per_frame);
  if (!frame) {
    return std::nullopt;
  }
  set_frame_free(*frame, false);
  used_[*frame] = pages_per_frame;
  free_pages_ -= pages_per_frame;
  return SystemPhysical(*frame * large_page_size);
}

std::optional<SystemPhysical> PageAllocator::allocate(PageSize size) {
  return allocate_within(size, {SystemPhysical(0), page_count_ << page_shift});
}

void PageAllocator::release(SystemPhysical page, PageSize size) {
  const u64 first = page.page_number();
  if (!is_aligned(page.value(), bytes(size))) {
    broken_invariant("a misaligned page was released");
  }
  const u64 frame = first / pages_per_frame;
  if (size == PageSize::size_2m && frame < used_.size() && used_[frame] == pages_per_frame) {
    used_[frame] = 0;
    free_pages_ += pages_per_frame;
    set_frame_free(frame, true);
    return;
  }
  for (u64 i = 0; i < bytes(size) / page_size; ++i) {
    give_page(first + i);
  }
}

}  // namespace softsnp::host
