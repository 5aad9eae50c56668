#include "hypervisor/kvm/memory_slots.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/nested_page_table.hpp"

namespace softsnp::kvm {
namespace {

constexpr u32 user_slots = 32764;  // KVM_USER_MEM_SLOTS: SHRT_MAX less KVM's own
constexpr u64 most_pages = (u64{1} << 31) - 1;

// check_memory_region_flags(): private memory knows neither dirty logging nor read-only slots.
u32 allowed_flags(const UserMemoryRegion& region, VmType type) {
  const u32 shared = slot_flag::log_dirty_pages | slot_flag::readonly;
  if (type != VmType::snp) {
    return shared;
  }
  return (region.flags & slot_flag::guest_memfd) != 0 ? slot_flag::guest_memfd : shared;
}

Result<void, Error> check_numbers(const UserMemoryRegion& region, VmType type) {
  const bool aligned = is_aligned(region.size, page_size) && region.gpa.is_page_aligned() &&
                       region.address.is_page_aligned() &&
                       is_aligned(region.guest_memfd_offset, page_size);
  if ((region.flags & ~allowed_flags(region, type)) != 0) {
    return fail(EINVAL, "a memory slot has flags that this VM does not know");
  }
  if (!aligned) {
    return fail(EINVAL, "a memory slot is whole pages");
  }
  HostVirtual address_end = region.address;
  if (!address_end.checked_add(region.size) ||
      address_end.value() > host::UserMemory::address_limit) {
    return fail(EINVAL, "a memory slot's addresses are the VMM's own");
  }
  u64 memfd_end = 0;
  if (__builtin_add_overflow(region.guest_memfd_offset, region.size, &memfd_end)) {
    return fail(EINVAL, "a memory slot lies beyond its guest_memfd");
  }
  GuestPhysical end = region.gpa;
  if (region.slot >= user_slots || region.size / page_size > most_pages ||
      !end.checked_add(region.size) || end.value() > NestedPageTable::gpa_limit) {
    return fail(EINVAL, "a memory slot has a number below 32764 and lies below 2^48");
  }
  return {};
}

}  // namespace

Result<MemorySlots::Change, Error> MemorySlots::check(const UserMemoryRegion& region,
                                                      VmType type) const {
  if (auto numbers = check_numbers(region, type); !numbers) {
    return Failure<Error>{numbers.error()};
  }
  const MemorySlot* old = by_id(region.slot);
  if (region.size == 0) {
    return old != nullptr ? Result<Change, Error>(Change::remove)
                          : fail(EINVAL, "no such memory slot");
  }
  Change change = Change::create;
  if (old != nullptr) {
    const u32 fixed = slot_flag::readonly | slot_flag::guest_memfd;
    if ((region.flags & slot_flag::guest_memfd) != 0 || region.address != old->address ||
        region.size != old->bytes || ((region.flags ^ old->flags) & fixed) != 0) {
      return fail(EINVAL, "of a memory slot only its place and its dirty logging can change");
    }
    change = region.gpa != old->first     ? Change::move
             : region.flags != old->flags ? Change::flags
                                          : Change::nothing;
  }
  if ((change == Change::create || change == Change::move) &&
      overlaps(region.slot, region.gpa, region.gpa + region.size)) {
    return fail(EEXIST, "the memory slot overlaps another");
  }
  return change;
}

bool MemorySlots::overlaps(u32 except, GuestPhysical first, GuestPhysical end) const {
  return std::any_of(slots_.begin(), slots_.end(), [&](const auto& slot) {
    return slot->id != except && first < slot->end() && slot->first < end;
  });
}

const MemorySlot* MemorySlots::find(GuestPhysical gpa) const {
  const auto after =
      std::upper_bound(slots_.begin(), slots_.end(), gpa,
                       [](GuestPhysical at, const auto& slot) { return at < slot->first; });
  if (after == slots_.begin() || !(*std::prev(after))->contains(gpa)) {
    return nullptr;
  }
  return std::prev(after)->get();
}

MemorySlot* MemorySlots::find(GuestPhysical gpa) {
  return const_cast<MemorySlot*>(std::as_const(*this).find(gpa));
}

const MemorySlot* MemorySlots::by_id(u32 id) const {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [id](const auto& slot) { return slot->id == id; });
  return found != slots_.end() ? found->get() : nullptr;
}

MemorySlot* MemorySlots::by_id(u32 id) {
  return const_cast<MemorySlot*>(std::as_const(*this).by_id(id));
}

void MemorySlots::sort() {
  std::sort(slots_.begin(), slots_.end(),
            [](const auto& a, const auto& b) { return a->first < b->first; });
}

void MemorySlots::add(MemorySlot slot) {
  slots_.push_back(std::make_unique<MemorySlot>(std::move(slot)));
  sort();
}

void MemorySlots::remove(u32 id) {
  slots_.erase(std::find_if(slots_.begin(), slots_.end(),
                            [id](const auto& slot) { return slot->id == id; }));
}

void MemorySlots::move(u32 id, GuestPhysical to) {
  by_id(id)->first = to;
  sort();
}

}  // namespace softsnp::kvm
