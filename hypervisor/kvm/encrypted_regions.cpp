#include "hypervisor/kvm/encrypted_regions.hpp"

#include <algorithm>
#include <cerrno>

#include "hypervisor/kvm/error.hpp"

namespace softsnp::kvm {
namespace {
constexpr u64 most_pages = 0x7FFFFFFF;  // INT_MAX, what pin_user_pages_fast() can count
}

EncryptedRegions::~EncryptedRegions() {
  if (!regions_.empty()) {
    host_.platform.wbinvd_all();
  }
  while (!regions_.empty()) {
    unpin(regions_.begin());
  }
}

Result<void, Error> EncryptedRegions::pin(Region region) {
  HostVirtual last = region.first;
  if (region.bytes == 0 || !last.checked_add(region.bytes - 1)) {
    return fail(EINVAL, "a region has a size and does not wrap around");
  }
  const u64 pages = last.page_number() - region.first.page_number() + 1;
  if (pages > most_pages) {
    return fail(EINVAL, "the region is too large");
  }
  if (pages_locked_ + pages > host_.users.lock_limit_pages()) {
    return fail(ENOMEM, "the region exceeds the limit of locked memory");
  }
  auto pinned = host_.users.pin(region.first.page(), pages);
  if (!pinned) {
    return fail(ENOMEM, "not all pages of the region can be pinned");
  }
  region.pages = std::move(*pinned);
  pages_locked_ += pages;
  regions_.push_back(std::move(region));
  return {};
}

void EncryptedRegions::unpin(std::vector<Region>::iterator region) {
  host_.users.unpin(region->pages);
  pages_locked_ -= region->pages.size();
  regions_.erase(region);
}

Result<void, Error> EncryptedRegions::add(HostVirtual first, u64 bytes) {
  if (!has_encrypted_memory(type_)) {
    return fail(ENOTTY, "the VM's memory is not encrypted");
  }
  return policy_ == PinPolicy::registered_regions ? pin({first, bytes, std::nullopt, {}})
                                                  : Result<void, Error>();
}

Result<void, Error> EncryptedRegions::remove(HostVirtual first, u64 bytes) {
  if (!has_encrypted_memory(type_)) {
    return fail(ENOTTY, "the VM's memory is not encrypted");
  }
  if (policy_ != PinPolicy::registered_regions) {
    return {};
  }
  const auto found = std::find_if(regions_.begin(), regions_.end(), [&](const Region& region) {
    return region.first == first && region.bytes == bytes;
  });
  if (found == regions_.end()) {
    return fail(EINVAL, "no such region is registered");
  }
  // Cached lines with the guest's key must not reach the pages once they are others'.
  host_.platform.wbinvd_all();
  unpin(found);
  return {};
}

Result<void, Error> EncryptedRegions::slot_created(u32 slot, HostVirtual first, u64 bytes) {
  if (policy_ != PinPolicy::memory_slots || !has_encrypted_memory(type_)) {
    return {};
  }
  return pin({first, bytes, slot, {}});
}

void EncryptedRegions::slot_removed(u32 slot) {
  const auto found = std::find_if(regions_.begin(), regions_.end(),
                                  [&](const Region& region) { return region.slot == slot; });
  if (found != regions_.end()) {
    unpin(found);
  }
}

}  // namespace softsnp::kvm
