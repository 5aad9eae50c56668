// The last changes of the RMP, so that a fault can name who last changed a page.
#pragma once

#include <optional>
#include <vector>

#include "machine/memory/events.hpp"

namespace softsnp::memory {

class RmpHistory {
 public:
  static constexpr u64 capacity = 65536;

  RmpHistory() { ring_.reserve(capacity); }

  void add(const RmpChange& change) {
    if (ring_.size() < capacity) {
      ring_.push_back(change);
    } else {
      ring_[total_ % capacity] = change;
    }
    ++total_;
  }
  // Changes ever made; the ring holds the newest of them.
  u64 total() const { return total_; }
  // The newest change held that concerns the page.
  std::optional<RmpChange> last(SystemPhysical page) const;
  // The newest changes held that concern the page, newest first, at most limit.
  std::vector<RmpChange> changes_of(SystemPhysical page, usize limit) const;

 private:
  std::vector<RmpChange> ring_;  // reserved once; the host commits it as it fills
  u64 total_ = 0;
};

}  // namespace softsnp::memory
