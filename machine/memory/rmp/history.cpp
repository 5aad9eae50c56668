#include "machine/memory/rmp/history.hpp"

namespace softsnp::memory {

std::vector<RmpChange> RmpHistory::changes_of(SystemPhysical page, usize limit) const {
  std::vector<RmpChange> found;
  for (u64 back = 1; back <= ring_.size() && found.size() < limit; ++back) {
    const RmpChange& change = ring_[(total_ - back) % capacity];
    if (change.concerns(page)) {
      found.push_back(change);
    }
  }
  return found;
}

std::optional<RmpChange> RmpHistory::last(SystemPhysical page) const {
  const std::vector<RmpChange> found = changes_of(page, 1);
  return found.empty() ? std::nullopt : std::optional(found.front());
}

}  // namespace softsnp::memory
