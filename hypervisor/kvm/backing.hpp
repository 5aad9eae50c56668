// The host pages behind one memory slot: its shared memory or its guest_memfd. Bookkeeping only;
// pages come and go through GuestMemory.
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

  // What lies behind one 2 MiB frame of guest-physical space.
  struct Frame {
    // Non-zero: one 2 MiB page is behind all of the frame.
    SystemPhysical whole{};
    // Otherwise: page by page, sPA 0 where there is none.
    std::unique_ptr<std::array<SystemPhysical, pages_per_frame>> pages;
    u16 present = 0;
    // Private backing: entries of the RMP that name the guest. large: one entry of 2 MiB.
    u16 assigned = 0;
    bool large_entry = false;

    bool is_whole() const { return whole != SystemPhysical(0); }
    bool is_empty() const { return present == 0; }
  };

  Backing(GuestPhysical first, u64 bytes);

  // page must lie in the slot.
  Frame& frame(GuestPhysical page) { return frames_[frame_index(page)]; }
  const Frame& frame(GuestPhysical page) const { return frames_[frame_index(page)]; }
  std::optional<SystemPhysical> find(GuestPhysical page) const;
  void put_whole(GuestPhysical page, SystemPhysical at);
  void put_page(GuestPhysical page, SystemPhysical at);
  // Forgets the page and returns it; breaks a whole frame up. The page must be there.
  SystemPhysical take_page(GuestPhysical page);
  SystemPhysical take_whole(GuestPhysical page);

 private:
  usize frame_index(GuestPhysical page) const { return (page.value() >> 21) - first_frame_; }

  u64 first_frame_;
  std::vector<Frame> frames_;
};

struct MemorySlot {
  u32 id = 0;
  GuestPhysical first;
  u64 bytes = 0;
  Backing shared;
  Backing private_memory;  // guest_memfd; unused by plain VMs

  MemorySlot(u32 slot, GuestPhysical gpa, u64 size)
      : id(slot), first(gpa), bytes(size), shared(gpa, size), private_memory(gpa, size) {}
  bool contains(GuestPhysical gpa) const { return gpa >= first && gpa - first < bytes; }
  // The whole 2 MiB frame around page lies in the slot.
  bool contains_frame(GuestPhysical page) const {
    const GuestPhysical base = page.large_page();
    return base >= first && base - first + large_page_size <= bytes;
  }
};

}  // namespace softsnp::kvm
