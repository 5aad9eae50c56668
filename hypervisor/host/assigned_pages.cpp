#include "hypervisor/host/assigned_pages.hpp"

#include "base/bits.hpp"

namespace softsnp::host {

AssignedPages::AssignedPages(u64 dram_bytes)
    : frames_((dram_bytes + large_page_size - 1) / large_page_size) {}

void AssignedPages::set_page(Frame& frame, unsigned index, bool assigned) {
  u64& word = frame.bits[index / 64];
  if (has_bit(word, index % 64) == assigned) {
    return;
  }
  word ^= bit(index % 64);
  frame.count += assigned ? 1u : -1u;
  total_ += assigned ? u64{1} : u64(-1);
}

void AssignedPages::set(SystemPhysical page, PageSize size, bool assigned) {
  std::unique_ptr<Frame>& frame = frames_[page.value() / large_page_size];
  if (!frame) {
    if (!assigned) {
      return;
    }
    frame = std::make_unique<Frame>();
  }
  const unsigned first = page.page_number() % pages_per_frame;
  for (unsigned i = 0; i < bytes(size) / page_size; ++i) {
    set_page(*frame, first + i, assigned);
  }
  if (frame->count == 0) {
    frame.reset();
  }
}

bool AssignedPages::contains(SystemPhysical page) const {
  const std::unique_ptr<Frame>& frame = frames_[page.value() / large_page_size];
  const unsigned index = page.page_number() % pages_per_frame;
  return frame && has_bit(frame->bits[index / 64], index % 64);
}

unsigned AssignedPages::count_around(SystemPhysical at) const {
  const std::unique_ptr<Frame>& frame = frames_[at.value() / large_page_size];
  return frame ? frame->count : 0;
}

}  // namespace softsnp::host
