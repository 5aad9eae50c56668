#include "hypervisor/kvm/backing.hpp"

#include "hypervisor/host/error.hpp"

namespace softsnp::kvm {
namespace {
usize index_in_frame(u64 offset) {
  return offset / page_size % Backing::pages_per_frame;
}
}  // namespace

std::optional<SystemPhysical> Backing::find(u64 offset) const {
  const Frame& f = frame(offset);
  if (f.is_whole()) {
    return f.whole + align_down(offset % large_page_size, page_size);
  }
  if (!f.pages || (*f.pages)[index_in_frame(offset)] == SystemPhysical(0)) {
    return std::nullopt;
  }
  return (*f.pages)[index_in_frame(offset)];
}

void Backing::put_whole(u64 offset, SystemPhysical at) {
  Frame& f = frame(offset);
  if (!f.is_empty()) {
    host::broken_invariant("a 2 MiB page was put over existing memory");
  }
  f.pages.reset();
  f.whole = at;
  f.present = pages_per_frame;
}

void Backing::put_page(u64 offset, SystemPhysical at) {
  Frame& f = frame(offset);
  if (f.is_whole()) {
    host::broken_invariant("a page was put into a whole frame");
  }
  if (!f.pages) {
    f.pages = std::make_unique<std::array<SystemPhysical, pages_per_frame>>();
  }
  (*f.pages)[index_in_frame(offset)] = at;
  ++f.present;
}

SystemPhysical Backing::take_page(u64 offset) {
  Frame& f = frame(offset);
  if (f.is_whole()) {
    f.pages = std::make_unique<std::array<SystemPhysical, pages_per_frame>>();
    for (usize i = 0; i < pages_per_frame; ++i) {
      (*f.pages)[i] = f.whole + i * page_size;
    }
    f.whole = SystemPhysical(0);
  }
  if (!f.pages || (*f.pages)[index_in_frame(offset)] == SystemPhysical(0)) {
    host::broken_invariant("a page was taken that is not there");
  }
  const SystemPhysical taken = (*f.pages)[index_in_frame(offset)];
  (*f.pages)[index_in_frame(offset)] = SystemPhysical(0);
  if (--f.present == 0) {
    f.pages.reset();
  }
  return taken;
}

SystemPhysical Backing::take_whole(u64 offset) {
  Frame& f = frame(offset);
  const SystemPhysical taken = f.whole;
  f.whole = SystemPhysical(0);
  f.present = 0;
  return taken;
}

}  // namespace softsnp::kvm
