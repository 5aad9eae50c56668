#include "hypervisor/host/swap_store.hpp"

#include <algorithm>

namespace softsnp::host {

u64 SwapStore::put(std::span<const u8> page) {
  Slot slot;
  if (std::any_of(page.begin(), page.end(), [](u8 byte) { return byte != 0; })) {
    slot.bytes.assign(page.begin(), page.end());
  }
  slots_.emplace(next_, std::move(slot));
  return next_++;
}

void SwapStore::release(u64 slot) {
  const auto found = slots_.find(slot);
  if (--found->second.users == 0) {
    slots_.erase(found);
  }
}

}  // namespace softsnp::host
