// Pages for the launch, and the host's own view of shared memory.
#include <algorithm>
#include <cerrno>

#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {

Result<GuestMemory::LaunchPage, Error> GuestMemory::launch_page(GuestPhysical gpa, u64 bytes_left) {
  MemorySlot* slot = slots_.find(gpa);
  if (slot == nullptr || slot->memfd == nullptr || !attributes_.is_private(gpa)) {
    return fail(EINVAL, "the launch names memory that is not private");
  }
  const u64 offset = slot->offset_of(gpa);
  const auto page = slot->memfd->page(offset, wants_large_private(*slot, gpa));
  if (!page) {
    return fail(ENOMEM, "no memory for the guest");
  }
  const Backing::Frame& frame = slot->memfd->frame(offset);
  if (frame.large_entry || host_.rmp.read(*page).assigned != 0) {
    return fail(EEXIST, "the launch names a page twice");
  }
  const bool large = gpa.is_large_page_aligned() && bytes_left >= large_page_size &&
                     frame.is_whole() && frame.assigned == 0 && wants_large_private(*slot, gpa);
  return LaunchPage{*page, large ? PageSize::size_2m : PageSize::size_4k};
}

Result<SystemPhysical, Error> GuestMemory::private_page(GuestPhysical gpa) {
  MemorySlot* slot = slots_.find(gpa);
  if (slot == nullptr || slot->memfd == nullptr) {
    return fail(EFAULT, "no guest_memfd at that guest-physical address");
  }
  const u64 offset = slot->offset_of(gpa);
  const bool large = wants_large_private(*slot, gpa);
  const auto page = slot->memfd->page(offset, large);
  if (!page || !slot->memfd->prepare(offset, gpa, asid_, large)) {
    return fail(EFAULT, "the host has no page for it");
  }
  return *page;
}

void GuestMemory::note_assigned(GuestPhysical gpa, PageSize size) {
  const MemorySlot* slot = slots_.find(gpa);
  slot->memfd->note_assigned(slot->offset_of(gpa), size);
}

void GuestMemory::drop_private(GuestPhysical gpa, PageSize size) {
  const MemorySlot* slot = slots_.find(gpa);
  slot->memfd->punch_hole(slot->offset_of(gpa), bytes(size));
}

void GuestMemory::note_dirty(MemorySlot& slot, GuestPhysical page) {
  if (slot.has(slot_flag::log_dirty_pages)) {
    const u64 index = (page - slot.first) / page_size;
    slot.dirty[index / 64] |= bit(index % 64);
  }
}

Result<SystemPhysical, Error> GuestMemory::shared_at(GuestPhysical gpa,
                                                     host::UserMemory::Access access) {
  MemorySlot* slot = slots_.find(gpa);
  if (slot == nullptr) {
    return fail(EFAULT, "no memory at that guest-physical address");
  }
  if (is_snp() && attributes_.is_private(gpa.page())) {
    return fail(EFAULT, "the page is private to the guest");
  }
  const auto page =
      host_.users.fault(slot->address_of(gpa.page()), access,
                        wants_large_shared(*slot, gpa) ? PageSize::size_2m : PageSize::size_4k);
  if (!page) {
    return fail(page.error());
  }
  if (access == host::UserMemory::Access::write) {
    note_dirty(*slot, gpa.page());
  }
  return page->page + gpa.page_offset();
}

Failure<Error> GuestMemory::store_failed(const machine::HostFault& fault) {
  observer_.host_rmp_fault({fault.address, fault.error_code});
  return fail(EFAULT, "the host's access faulted");
}

Result<void, Error> GuestMemory::read_shared(GuestPhysical gpa, std::span<u8> to) {
  while (!to.empty()) {
    const auto at = shared_at(gpa, host::UserMemory::Access::read);
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
    const auto at = shared_at(gpa, host::UserMemory::Access::write);
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
