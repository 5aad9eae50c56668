#include "hypervisor/kvm/own_ram.hpp"

#include <cerrno>

#include "hypervisor/kvm/error.hpp"

namespace softsnp::kvm {
namespace {
// The block begins so far before the slot that 2 MiB frames of both are the same.
u64 lead(GuestPhysical gpa) {
  return gpa - gpa.large_page();
}
}  // namespace

OwnRam::~OwnRam() {
  for (const auto& [slot, ram] : by_slot_) {
    (void)host_.users.unmap(ram.block).ok();
  }
}

void OwnRam::release(const Ram& ram) {
  if (ram.memfd != 0) {
    (void)memory_.close_guest_memfd(ram.memfd).ok();
  }
  (void)host_.users.unmap(ram.block).ok();
}

Result<OwnRam::Ram, Error> OwnRam::make(GuestPhysical gpa, u64 size, bool has_private_memory) {
  const auto block = host_.users.map(lead(gpa) + size);
  if (!block) {
    return fail(block.error());
  }
  if (!has_private_memory) {
    return Ram{*block, 0};
  }
  const auto memfd = memory_.create_guest_memfd(lead(gpa) + size);
  if (!memfd) {
    (void)host_.users.unmap(*block).ok();
    return Failure<Error>{memfd.error()};
  }
  return Ram{*block, *memfd};
}

Result<void, Error> OwnRam::remove(u32 slot) {
  UserMemoryRegion region;
  region.slot = slot;
  auto removed = memory_.set_region(region);
  if (const auto ram = by_slot_.find(slot); removed && ram != by_slot_.end()) {
    release(ram->second);
    by_slot_.erase(ram);
  }
  return removed;
}

Result<void, Error> OwnRam::set(u32 slot, GuestPhysical gpa, u64 size, bool has_private_memory) {
  if (size == 0) {
    return remove(slot);
  }
  if (!gpa.is_page_aligned()) {
    return fail(EINVAL, "a memory slot is whole pages");
  }
  if (by_slot_.count(slot) != 0) {
    return fail(EEXIST, "the memory slot exists");
  }
  const auto ram = make(gpa, size, has_private_memory);
  if (!ram) {
    return Failure<Error>{ram.error()};
  }
  UserMemoryRegion region;
  region.slot = slot;
  region.flags = has_private_memory ? slot_flag::guest_memfd : 0;
  region.gpa = gpa;
  region.size = size;
  region.address = ram->block + lead(gpa);
  region.guest_memfd = ram->memfd;
  region.guest_memfd_offset = has_private_memory ? lead(gpa) : 0;
  auto made = memory_.set_region(region);
  if (made) {
    by_slot_[slot] = *ram;
  } else {
    release(*ram);
  }
  return made;
}

}  // namespace softsnp::kvm
