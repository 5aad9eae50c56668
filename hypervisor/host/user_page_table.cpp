#include "hypervisor/host/user_page_table.hpp"

namespace softsnp::host {
namespace {
usize index_in_frame(u64 offset) {
  return offset / page_size % 512;
}
}  // namespace

Pte UserPageTable::find(u64 offset) const {
  const Frame& f = frame(offset);
  if (f.whole != SystemPhysical(0)) {
    return Pte::present(f.whole + align_down(offset % large_page_size, page_size), true);
  }
  return f.pages ? (*f.pages)[index_in_frame(offset)] : Pte{};
}

void UserPageTable::break_up(Frame& frame) {
  frame.pages = std::make_unique<std::array<Pte, pages_per_frame>>();
  for (usize i = 0; i < pages_per_frame; ++i) {
    (*frame.pages)[i] = Pte::present(frame.whole + i * page_size, true);
  }
  frame.used = pages_per_frame;
  frame.whole = SystemPhysical(0);
}

void UserPageTable::set(u64 offset, Pte entry) {
  Frame& f = frame(offset);
  if (f.whole != SystemPhysical(0)) {
    break_up(f);
  }
  if (!f.pages) {
    f.pages = std::make_unique<std::array<Pte, pages_per_frame>>();
  }
  Pte& old = (*f.pages)[index_in_frame(offset)];
  f.used = static_cast<u16>(f.used - (old.is_none() ? 0 : 1) + (entry.is_none() ? 0 : 1));
  old = entry;
  if (f.used == 0) {
    f.pages.reset();
  }
}

}  // namespace softsnp::host
