// The host pages of a guest_memfd, by offset. Bookkeeping only; pages come and go through
// GuestMemfd.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "arch/address.hpp"

namespace softsnp::kvm {

class Backing {
 public:
  static constexpr unsigned pages_per_frame = 512;

  // What lies behind one 2 MiB frame of the file.
  struct Frame {
    // Non-zero: one 2 MiB page is behind all of the frame.
    SystemPhysical whole{};
    // Otherwise: page by page, sPA 0 where there is none.
    std::unique_ptr<std::array<SystemPhysical, pages_per_frame>> pages;
    u16 present = 0;
    // Entries of the RMP that name the guest. large: one entry of 2 MiB.
    u16 assigned = 0;
    bool large_entry = false;

    bool is_whole() const { return whole != SystemPhysical(0); }
    bool is_empty() const { return present == 0; }
  };

  explicit Backing(u64 bytes) : frames_((bytes + large_page_size - 1) / large_page_size) {}

  // Offsets lie in the file.
  Frame& frame(u64 offset) { return frames_[offset / large_page_size]; }
  const Frame& frame(u64 offset) const { return frames_[offset / large_page_size]; }
  std::optional<SystemPhysical> find(u64 offset) const;
  void put_whole(u64 offset, SystemPhysical at);
  void put_page(u64 offset, SystemPhysical at);
  // Forgets the page and returns it; breaks a whole frame up. The page must be there.
  SystemPhysical take_page(u64 offset);
  SystemPhysical take_whole(u64 offset);

 private:
  std::vector<Frame> frames_;
};

}  // namespace softsnp::kvm
