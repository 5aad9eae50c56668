// Private pages go elsewhere by the firmware's hand.
#include <cerrno>

#include "hypervisor/kvm/guest_memfd.hpp"

namespace softsnp::kvm {
namespace {
Failure<host::Error> fail(int number, const char* what) {
  return Failure<host::Error>{host::Error{number, 0, what}};
}
}  // namespace

void GuestMemfd::replace(u64 offset, PageSize size, SystemPhysical at) {
  if (size == PageSize::size_2m) {
    pages().set_guest_memfd(backing_.frame(offset).whole, size, false);
    backing_.frame(offset).whole = at;
  } else {
    pages().set_guest_memfd(backing_.take_page(offset), size, false);
    backing_.put_page(offset, at);
  }
  pages().set_guest_memfd(at, size, true);
}

// A page with an RMP entry of its own: a larger one is split.
Result<SystemPhysical, host::Error> GuestMemfd::small_page(u64 offset) {
  const auto page = backing_.find(offset);
  if (!page) {
    return fail(ENOENT, "no page there");
  }
  if (firmware_ == nullptr || host_.rmp.read(*page).assigned == 0) {
    return fail(ENXIO, "the page is not the firmware's to move");
  }
  if (has_large_entry(offset) && !smash(offset)) {
    return fail(EIO, "the RMP entry cannot be split");
  }
  return *page;
}

Result<u64, host::Error> GuestMemfd::move(u64 offset, PageSize size,
                                          const host::PageAllocator::Range& to) {
  const bool large = size == PageSize::size_2m && firmware_ != nullptr &&
                     backing_.frame(offset).is_whole() && has_large_entry(offset);
  if (large) {
    if (const auto moved = firmware_->move(backing_.frame(offset).whole, size, to)) {
      replace(offset, size, *moved);
      return softsnp::bytes(size) / page_size;
    } else if (moved.error().number != ENOMEM) {
      return Failure<host::Error>{moved.error()};
    }
  }
  const auto page = small_page(offset);
  if (!page) {
    return Failure<host::Error>{page.error()};
  }
  const auto moved = firmware_->move(*page, PageSize::size_4k, to);
  if (!moved) {
    return Failure<host::Error>{moved.error()};
  }
  replace(offset, PageSize::size_4k, *moved);
  return u64{1};
}

Result<void, host::Error> GuestMemfd::swap_out(u64 offset) {
  const auto page = small_page(offset);
  if (!page) {
    return Failure<host::Error>{page.error()};
  }
  auto swapped = firmware_->swap_out(*page);
  if (!swapped) {
    return Failure<host::Error>{swapped.error()};
  }
  pages().set_guest_memfd(backing_.take_page(offset), PageSize::size_4k, false);
  Backing::Frame& frame = backing_.frame(offset);
  frame.assigned = static_cast<u16>(frame.assigned - 1);
  swapped_.emplace(offset / page_size, std::move(*swapped));
  return {};
}

Result<void, host::Error> GuestMemfd::swap_in(u64 offset) {
  const auto swapped = swapped_.find(offset / page_size);
  if (swapped == swapped_.end() || firmware_ == nullptr) {
    return fail(ENOENT, "no page is swapped out there");
  }
  const auto page = firmware_->swap_in(swapped->second);
  if (!page) {
    return Failure<host::Error>{page.error()};
  }
  backing_.put_page(offset, *page);
  pages().set_guest_memfd(*page, PageSize::size_4k, true);
  note_assigned(offset, PageSize::size_4k);
  swapped_.erase(swapped);
  return {};
}

bool GuestMemfd::any_swapped_around(u64 offset) const {
  const u64 first = align_down(offset, large_page_size) / page_size;
  const auto found = swapped_.lower_bound(first);
  return found != swapped_.end() && found->first < first + Backing::pages_per_frame;
}

void GuestMemfd::drop_swapped(u64 first, u64 bytes) {
  auto at = swapped_.lower_bound(first / page_size);
  while (at != swapped_.end() && at->first < (first + bytes) / page_size) {
    if (firmware_ != nullptr) {
      firmware_->forget(at->second);
    }
    at = swapped_.erase(at);
  }
}

}  // namespace softsnp::kvm
