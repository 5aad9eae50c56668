// Pages given back, pages for the launch, and the host's own view of shared memory.
#include <algorithm>
#include <cerrno>

#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {

// Out of the RMP and cleared by the release; pages of an aborted launch are still immutable and
// need the firmware's help. False: the page is lost.
bool GuestMemory::take_from_guest(SystemPhysical page, PageSize size) {
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

// The part [first, first + bytes) of one frame: KVM's hole punch.
void GuestMemory::free_private_frame(MemorySlot& slot, GuestPhysical first, u64 bytes) {
  Backing::Frame& frame = slot.private_memory.frame(first);
  if (frame.is_empty()) {
    return;
  }
  if (bytes == large_page_size && frame.is_whole() && (frame.large_entry || frame.assigned == 0)) {
    const bool was_large = frame.large_entry;
    frame.assigned = 0;
    frame.large_entry = false;
    const SystemPhysical whole = slot.private_memory.take_whole(first);
    if (!was_large || take_from_guest(whole, PageSize::size_2m)) {
      host_.memory.release(whole, PageSize::size_2m);
    }
    return;
  }
  if (frame.large_entry) {
    smash(frame, first);
  }
  for (u64 offset = 0; offset < bytes; offset += page_size) {
    const auto page = slot.private_memory.find(first + offset);
    if (!page) {
      continue;
    }
    const bool assigned = is_snp() && host_.rmp.read(*page).assigned != 0;
    slot.private_memory.take_page(first + offset);
    frame.assigned = static_cast<u16>(frame.assigned - (assigned ? 1 : 0));
    if (!assigned || take_from_guest(*page, PageSize::size_4k)) {
      host_.memory.release(*page, PageSize::size_4k);
    }
  }
}

void GuestMemory::free_private(MemorySlot& slot, GuestPhysical first, u64 bytes) {
  const GuestPhysical end = first + bytes;
  for (GuestPhysical at = first; at < end;) {
    const GuestPhysical next = std::min(at.large_page() + large_page_size, end);
    free_private_frame(slot, at, next - at);
    at = next;
  }
}

void GuestMemory::free_shared(MemorySlot& slot, GuestPhysical first, u64 bytes) {
  const GuestPhysical end = first + bytes;
  for (GuestPhysical at = first; at < end;) {
    const GuestPhysical next = std::min(at.large_page() + large_page_size, end);
    const Backing::Frame& frame = slot.shared.frame(at);
    if (frame.is_whole() && next - at == large_page_size) {
      host_.memory.release(slot.shared.take_whole(at), PageSize::size_2m);
    } else if (!frame.is_empty()) {
      for (GuestPhysical page = at; page < next; page = page + page_size) {
        if (slot.shared.find(page)) {
          host_.memory.release(slot.shared.take_page(page), PageSize::size_4k);
        }
      }
    }
    at = next;
  }
}

Result<GuestMemory::LaunchPage, Error> GuestMemory::launch_page(GuestPhysical gpa, u64 bytes_left) {
  MemorySlot* slot = find_slot(gpa);
  if (slot == nullptr || !attributes_.is_private(gpa)) {
    return fail(EINVAL, "the launch names memory that is not private");
  }
  const auto page = private_page(*slot, gpa);
  if (!page) {
    return fail(ENOMEM, "no memory for the guest");
  }
  const Backing::Frame& frame = slot->private_memory.frame(gpa);
  if (frame.large_entry || host_.rmp.read(*page).assigned != 0) {
    return fail(EEXIST, "the launch names a page twice");
  }
  const bool large = gpa.is_large_page_aligned() && bytes_left >= large_page_size &&
                     frame.is_whole() && frame.assigned == 0 && attributes_.all_private(gpa);
  return LaunchPage{*page, large ? PageSize::size_2m : PageSize::size_4k};
}

void GuestMemory::note_assigned(GuestPhysical gpa, PageSize size) {
  Backing::Frame& frame = find_slot(gpa)->private_memory.frame(gpa);
  frame.large_entry = size == PageSize::size_2m;
  frame.assigned = static_cast<u16>(frame.assigned + bytes(size) / page_size);
}

void GuestMemory::drop_private(GuestPhysical gpa, PageSize size) {
  free_private(*find_slot(gpa), gpa, bytes(size));
}

Result<SystemPhysical, Error> GuestMemory::shared_at(GuestPhysical gpa) {
  MemorySlot* slot = find_slot(gpa);
  if (slot == nullptr) {
    return fail(EFAULT, "no memory at that guest-physical address");
  }
  if (is_snp() && attributes_.is_private(gpa.page())) {
    return fail(EFAULT, "the page is private to the guest");
  }
  const auto page = shared_page(*slot, gpa.page());
  if (!page) {
    return fail(ENOMEM, "no memory for the guest");
  }
  return *page + gpa.page_offset();
}

Failure<Error> GuestMemory::store_failed(const machine::HostFault& fault) {
  observer_.host_rmp_fault({fault.address, fault.error_code});
  return fail(EFAULT, "the host's access faulted");
}

Result<void, Error> GuestMemory::read_shared(GuestPhysical gpa, std::span<u8> to) {
  while (!to.empty()) {
    const auto at = shared_at(gpa);
    if (!at) {
      return Failure<Error>{at.error()};
    }
    const usize part = std::min<u64>(to.size(), page_size - gpa.page_offset());
    if (auto loaded = host_.memory.load(*at, to.first(part)); !loaded) {
      return store_failed(loaded.error());
    }
    to = to.subspan(part);
    gpa = gpa + part;
  }
  return {};
}

Result<void, Error> GuestMemory::write_shared(GuestPhysical gpa, std::span<const u8> from) {
  while (!from.empty()) {
    const auto at = shared_at(gpa);
    if (!at) {
      return Failure<Error>{at.error()};
    }
    const usize part = std::min<u64>(from.size(), page_size - gpa.page_offset());
    if (auto stored = host_.memory.store(*at, from.first(part)); !stored) {
      return store_failed(stored.error());
    }
    from = from.subspan(part);
    gpa = gpa + part;
  }
  return {};
}

}  // namespace softsnp::kvm
