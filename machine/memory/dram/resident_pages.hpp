// Which pages of a reservation the host has ever had to back, so that untouched ones are skipped.
#pragma once

#include <array>

#include "base/types.hpp"

namespace softsnp::memory {

class ResidentPages {
 public:
  explicit ResidentPages(const u8* base);
  ResidentPages(const ResidentPages&) = delete;
  ResidentPages& operator=(const ResidentPages&) = delete;
  ~ResidentPages();

  // False only if the page was never touched (or was discarded): it reads as zeros. A host that
  // does not tell answers true for every page.
  bool maybe_touched(u64 page_number);

 private:
  static constexpr u64 window_pages = 512;
  void load_window(u64 first);

  u64 base_page_;
  int file_;
  u64 window_first_ = ~u64{0};
  std::array<u64, window_pages> window_{};
};

}  // namespace softsnp::memory
