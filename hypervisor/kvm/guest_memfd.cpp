#include "hypervisor/kvm/guest_memfd.hpp"

#include <algorithm>

namespace softsnp::kvm {

std::optional<SystemPhysical> GuestMemfd::page(u64 offset, bool whole_wanted) {
  if (const auto at = backing_.find(offset)) {
    return at;
  }
  if (is_swapped(offset)) {
    return swap_in(offset) ? backing_.find(offset) : std::nullopt;
  }
  if (whole_wanted && backing_.frame(offset).is_empty() && !any_swapped_around(offset)) {
    if (const auto large = host_.memory.allocate(PageSize::size_2m)) {
      backing_.put_whole(offset, *large);
      pages().set_guest_memfd(*large, PageSize::size_2m, true);
      return backing_.find(offset);
    }
  }
  const auto small = host_.memory.allocate(PageSize::size_4k);
  if (small) {
    backing_.put_page(offset, *small);
    pages().set_guest_memfd(*small, PageSize::size_4k, true);
  }
  return small;
}

bool GuestMemfd::prepare(u64 offset, GuestPhysical page, Asid asid, bool large_wanted) {
  Backing::Frame& frame = backing_.frame(offset);
  const SystemPhysical at = *backing_.find(offset);
  if (frame.large_entry || host_.rmp.read(at).assigned != 0) {
    return true;
  }
  if (large_wanted && frame.is_whole() && frame.assigned == 0) {
    if (host_.rmp.assign(frame.whole, PageSize::size_2m, page.large_page(), asid,
                         host::Rmp::Immutable::no)) {
      note_assigned(offset, PageSize::size_2m);
      return true;
    }
  }
  if (!host_.rmp.assign(at, PageSize::size_4k, page, asid, host::Rmp::Immutable::no)) {
    return false;
  }
  ++frame.assigned;
  return true;
}

void GuestMemfd::note_assigned(u64 offset, PageSize size) {
  Backing::Frame& frame = backing_.frame(offset);
  frame.large_entry = size == PageSize::size_2m;
  frame.assigned = static_cast<u16>(frame.assigned + softsnp::bytes(size) / page_size);
}

bool GuestMemfd::has_large_entry(u64 offset) {
  Backing::Frame& frame = backing_.frame(offset);
  frame.large_entry = frame.large_entry && host_.rmp.read(frame.whole).page_size != 0;
  return frame.large_entry;
}

bool GuestMemfd::smash(u64 offset) {
  Backing::Frame& frame = backing_.frame(offset);
  if (!host_.rmp.psmash(frame.whole)) {
    return false;
  }
  frame.large_entry = false;
  ++counters_.psmash;
  return true;
}

// Out of the RMP and cleared by the release; pages of an aborted launch are still immutable and
// need the firmware's help. False: the page is lost.
bool GuestMemfd::take_from_guest(SystemPhysical page, PageSize size) {
  const snp::RmpUpdate entry = host_.rmp.read(page);
  if (entry.assigned == 0) {
    return true;
  }
  if (entry.immutable != 0) {
    return host_.rmp.reclaim(page, size).ok();  // leaks by itself
  }
  if (!host_.rmp.make_hypervisor(page, size)) {
    host_.memory.leak(page, size);
    return false;
  }
  return true;
}

void GuestMemfd::give_back(SystemPhysical page, PageSize size, bool assigned) {
  pages().set_guest_memfd(page, size, false);
  if (!assigned || take_from_guest(page, size)) {
    host_.memory.release(page, size);
  }
}

// The part [first, first + bytes) of one frame.
void GuestMemfd::punch_frame(u64 first, u64 bytes) {
  Backing::Frame& frame = backing_.frame(first);
  if (frame.is_empty()) {
    return;
  }
  if (bytes == large_page_size && frame.is_whole() && (frame.large_entry || frame.assigned == 0)) {
    const bool was_large = frame.large_entry;
    frame.assigned = 0;
    frame.large_entry = false;
    give_back(backing_.take_whole(first), PageSize::size_2m, was_large);
    return;
  }
  // What cannot be split stays until all of it goes.
  if (frame.large_entry && has_large_entry(first) && !smash(first)) {
    return;
  }
  for (u64 offset = first; offset < first + bytes; offset += page_size) {
    const auto page = backing_.find(offset);
    if (!page) {
      continue;
    }
    const bool assigned = host_.rmp.read(*page).assigned != 0;
    backing_.take_page(offset);
    frame.assigned = static_cast<u16>(frame.assigned - (assigned ? 1 : 0));
    give_back(*page, PageSize::size_4k, assigned);
  }
}

void GuestMemfd::punch_hole(u64 first, u64 bytes) {
  drop_swapped(first, bytes);
  for (u64 at = first; at < first + bytes;) {
    const u64 next = std::min(align_down(at, large_page_size) + large_page_size, first + bytes);
    punch_frame(at, next - at);
    at = next;
  }
}

}  // namespace softsnp::kvm
