// Whoever maps a process's pages elsewhere hears of every change before it happens. Linux
// mmu_notifier, invalidate_range_start; KVM is its user.
#pragma once

#include "arch/address.hpp"

namespace softsnp::host {

class MmuNotifier {
 public:
  virtual ~MmuNotifier() = default;
  // Page aligned. Nothing may translate through the range's present pages afterwards.
  virtual void invalidate(HostVirtual first, u64 bytes) = 0;
};

}  // namespace softsnp::host
