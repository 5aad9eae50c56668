// The swap device: contents of pages that are not in DRAM. What the host sees of a page goes there,
// which for an encrypted page is ciphertext.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "base/types.hpp"

namespace softsnp::host {

class SwapStore {
 public:
  // One user. Pages of zeros take no room.
  u64 put(std::span<const u8> page);
  void share(u64 slot) { ++slots_.at(slot).users; }
  // Empty: zeros.
  std::span<const u8> bytes(u64 slot) const { return slots_.at(slot).bytes; }
  // One user less; the last one frees the slot.
  void release(u64 slot);
  u64 used() const { return slots_.size(); }

 private:
  struct Slot {
    u32 users = 1;
    std::vector<u8> bytes;
  };
  std::map<u64, Slot> slots_;
  u64 next_ = 0;
};

}  // namespace softsnp::host
