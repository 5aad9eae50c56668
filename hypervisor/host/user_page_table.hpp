// HVA to page within one RAM block: frames of 2 MiB that are one page, or page by page present,
// swapped out or absent.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "arch/address.hpp"

namespace softsnp::host {

class Pte {
 public:
  constexpr Pte() = default;
  static constexpr Pte present(SystemPhysical page, bool writable) {
    return Pte(page.value() | present_bit | (writable ? writable_bit : 0));
  }
  static constexpr Pte swapped(u64 slot) { return Pte(slot << page_shift | swapped_bit); }

  constexpr bool is_none() const { return raw_ == 0; }
  constexpr bool is_present() const { return (raw_ & present_bit) != 0; }
  constexpr bool is_swapped() const { return (raw_ & swapped_bit) != 0; }
  constexpr bool is_writable() const { return (raw_ & writable_bit) != 0; }
  constexpr SystemPhysical page() const { return SystemPhysical(raw_).page(); }
  constexpr u64 slot() const { return raw_ >> page_shift; }

 private:
  static constexpr u64 present_bit = 1, writable_bit = 2, swapped_bit = 4;
  explicit constexpr Pte(u64 raw) : raw_(raw) {}
  u64 raw_ = 0;
};

class UserPageTable {
 public:
  explicit UserPageTable(u64 bytes)
      : frames_((bytes + large_page_size - 1) / large_page_size), bytes_(bytes) {}

  // Offsets lie in the block.
  Pte find(u64 offset) const;
  bool is_whole(u64 offset) const { return frame(offset).whole != SystemPhysical(0); }
  bool is_empty(u64 offset) const { return !is_whole(offset) && frame(offset).used == 0; }
  // All of the 2 MiB around offset is in the block.
  bool holds_frame(u64 offset) const {
    return align_down(offset, large_page_size) + large_page_size <= bytes_;
  }
  // Breaks a whole frame up.
  void set(u64 offset, Pte entry);
  // The frame is empty, or whole with another page.
  void set_whole(u64 offset, SystemPhysical page) { frame(offset).whole = page; }
  void clear_whole(u64 offset) { frame(offset).whole = SystemPhysical(0); }
  u64 bytes() const { return bytes_; }

 private:
  static constexpr unsigned pages_per_frame = 512;
  struct Frame {
    SystemPhysical whole{};  // sPA 0: page by page
    std::unique_ptr<std::array<Pte, pages_per_frame>> pages;
    u16 used = 0;  // entries that are not none
  };
  Frame& frame(u64 offset) { return frames_[offset / large_page_size]; }
  const Frame& frame(u64 offset) const { return frames_[offset / large_page_size]; }
  static void break_up(Frame& frame);

  std::vector<Frame> frames_;
  u64 bytes_;
};

}  // namespace softsnp::host
