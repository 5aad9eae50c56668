// Slots come, go, move and change their flags; what is behind them does not notice.
#include <algorithm>
#include <cerrno>

#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {

// kvm_gmem_bind(): the file exists, the slot lies in it, and no other slot has that part of it.
Result<GuestMemfd*, Error> GuestMemory::memfd_for(const UserMemoryRegion& region) const {
  if ((region.flags & slot_flag::guest_memfd) == 0) {
    return static_cast<GuestMemfd*>(nullptr);
  }
  const auto file = memfds_.find(region.guest_memfd);
  if (file == memfds_.end()) {
    return fail(EBADF, "no such guest_memfd");
  }
  GuestMemfd* memfd = file->second.get();
  const u64 first = region.guest_memfd_offset;
  const u64 end = first + region.size;
  const auto& slots = slots_.all();
  const bool is_taken = std::any_of(slots.begin(), slots.end(), [&](const auto& slot) {
    return slot->memfd == memfd && first < slot->memfd_offset + slot->bytes &&
           slot->memfd_offset < end;
  });
  if (end > memfd->bytes() || is_taken) {
    return fail(EINVAL, "that part of the guest_memfd does not exist or has a slot");
  }
  return memfd;
}

Result<void, Error> GuestMemory::create_slot(const UserMemoryRegion& region) {
  const auto memfd = memfd_for(region);
  if (!memfd) {
    return Failure<Error>{memfd.error()};
  }
  if (auto pinned = regions_.slot_created(region.slot, region.address, region.size); !pinned) {
    return pinned;
  }
  // MMIO entries may stand where memory comes now.
  zap(region.gpa, region.size);
  MemorySlot slot;
  slot.id = region.slot;
  slot.first = region.gpa;
  slot.bytes = region.size;
  slot.address = region.address;
  slot.memfd = *memfd;
  slot.memfd_offset = region.guest_memfd_offset;
  set_flags(slot, region.flags);
  slots_.add(std::move(slot));
  return {};
}

void GuestMemory::remove_slot(u32 id) {
  const MemorySlot& slot = *slots_.by_id(id);
  zap(slot.first, slot.bytes);
  slots_.remove(id);
  regions_.slot_removed(id);
}

void GuestMemory::set_flags(MemorySlot& slot, u32 flags) {
  slot.flags = flags;
  slot.dirty.assign(slot.has(slot_flag::log_dirty_pages) ? (slot.bytes / page_size + 63) / 64 : 0,
                    0);
}

Result<void, Error> GuestMemory::set_region(const UserMemoryRegion& region) {
  const auto change = slots_.check(region, type_);
  if (!change) {
    return Failure<Error>{change.error()};
  }
  switch (*change) {
    case MemorySlots::Change::create:
      return create_slot(region);
    case MemorySlots::Change::remove:
      remove_slot(region.slot);
      return {};
    case MemorySlots::Change::move: {
      const MemorySlot& slot = *slots_.by_id(region.slot);
      zap(slot.first, slot.bytes);
      zap(region.gpa, region.size);
      slots_.move(region.slot, region.gpa);
      set_flags(*slots_.by_id(region.slot), region.flags);
      return {};
    }
    case MemorySlots::Change::flags: {
      // What is mapped for writing would not be noticed.
      MemorySlot& slot = *slots_.by_id(region.slot);
      zap(slot.first, slot.bytes);
      set_flags(slot, region.flags);
      return {};
    }
    case MemorySlots::Change::nothing:
      break;
  }
  return {};
}

Result<std::vector<u64>, Error> GuestMemory::take_dirty_log(u32 id) {
  MemorySlot* slot = slots_.by_id(id);
  if (slot == nullptr || !slot->has(slot_flag::log_dirty_pages)) {
    return fail(ENOENT, "no slot that logs its dirty pages");
  }
  std::vector<u64> log(slot->dirty.size());
  log.swap(slot->dirty);
  for (u64 index = 0; index < slot->bytes / page_size; ++index) {
    if (has_bit(log[index / 64], index % 64)) {
      zap(slot->first + index * page_size, page_size);
    }
  }
  return log;
}

Result<u32, Error> GuestMemory::create_guest_memfd(u64 bytes) {
  if (!is_snp()) {
    return fail(EINVAL, "the VM has no private memory");
  }
  if (bytes == 0 || !is_aligned(bytes, page_size) || bytes > NestedPageTable::gpa_limit) {
    return fail(EINVAL, "a guest_memfd is whole pages");
  }
  auto& memfd = memfds_[next_memfd_];
  memfd = std::make_unique<GuestMemfd>(host_, counters_, bytes);
  memfd->set_firmware(firmware_ ? &*firmware_ : nullptr);
  return next_memfd_++;
}

Result<void, Error> GuestMemory::close_guest_memfd(u32 file) {
  const auto found = memfds_.find(file);
  if (found == memfds_.end()) {
    return fail(EBADF, "no such guest_memfd");
  }
  for (const auto& slot : slots_.all()) {
    if (slot->memfd == found->second.get()) {
      zap(slot->first, slot->bytes);
      slot->memfd = nullptr;
    }
  }
  memfds_.erase(found);
  return {};
}

}  // namespace softsnp::kvm
