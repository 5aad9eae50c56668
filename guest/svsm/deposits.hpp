// Pages that the guest has lent with DEPOSIT_MEM. Freestanding.
#pragma once

#include "guest/svsm/memory_map.hpp"

namespace softsnp::svsm {

// Disjoint stretches, in the order of their coming. This SVSM needs no memory of the guest's: what
// is here, the guest may have back.
class Deposits {
 public:
  bool overlaps(const Stretch& range) const;
  bool full() const { return count_ == max_stretches; }
  bool empty() const { return count_ == 0; }
  // Not full, and no overlap.
  void add(const Stretch& range);
  // The last 4 KiB page of what came last. Not empty.
  GuestPhysical last() const;
  void remove_last();

 private:
  static constexpr usize max_stretches = 512;
  Stretch stretches_[max_stretches];
  usize count_ = 0;
};

}  // namespace softsnp::svsm
