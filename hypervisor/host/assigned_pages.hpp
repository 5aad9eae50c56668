// Which pages the host has put into the RMP, by its own books: what RMPREAD would say, without
// asking for 512 entries whenever one changes.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "arch/address.hpp"

namespace softsnp::host {

class AssignedPages {
 public:
  explicit AssignedPages(u64 dram_bytes);

  void set(SystemPhysical page, PageSize size, bool assigned);
  bool contains(SystemPhysical page) const;
  // Pages of the 2 MiB around `at`.
  unsigned count_around(SystemPhysical at) const;
  u64 total() const { return total_; }

 private:
  static constexpr unsigned pages_per_frame = 512;
  struct Frame {
    std::array<u64, pages_per_frame / 64> bits{};
    unsigned count = 0;
  };
  void set_page(Frame& frame, unsigned index, bool assigned);

  std::vector<std::unique_ptr<Frame>> frames_;  // null: none
  u64 total_ = 0;
};

}  // namespace softsnp::host
