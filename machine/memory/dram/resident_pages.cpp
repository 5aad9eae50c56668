#include "machine/memory/dram/resident_pages.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/bits.hpp"

namespace softsnp::memory {
namespace {

// Linux Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bit 62 swapped. mincore() would
// not do: it calls a swapped page absent.
constexpr u64 backed = bit(63) | bit(62);

}  // namespace

ResidentPages::ResidentPages(const u8* base)
    : base_page_(reinterpret_cast<u64>(base) >> page_shift),
      file_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}

ResidentPages::~ResidentPages() {
  if (file_ >= 0) {
    close(file_);
  }
}

void ResidentPages::load_window(u64 first) {
  window_first_ = first;
  window_.fill(backed);
  if (file_ >= 0) {
    const auto at = static_cast<off_t>((base_page_ + first) * sizeof(u64));
    // A short read leaves the rest as "backed", the safe answer.
    static_cast<void>(!pread(file_, window_.data(), sizeof window_, at));
  }
}

bool ResidentPages::maybe_touched(u64 page_number) {
  const u64 first = align_down(page_number, window_pages);
  if (first != window_first_) {
    load_window(first);
  }
  return (window_[page_number - first] & backed) != 0;
}

}  // namespace softsnp::memory
