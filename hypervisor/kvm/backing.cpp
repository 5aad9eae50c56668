#include "hypervisor/kvm/backing.hpp"

#include "hypervisor/host/error.hpp"

namespace softsnp::kvm {
namespace {
usize index_in_frame(GuestPhysical page) {
  return page.page_number() % Backing::pages_per_frame;
}
}  // namespace

Backing::Backing(GuestPhysical first, u64 bytes) : first_frame_(first.value() >> 21) {
  const u64 end_frame = (first.value() + bytes + large_page_size - 1) >> 21;
  frames_.resize(end_frame - first_frame_);
}

std::optional<SystemPhysical> Backing::find(GuestPhysical page) const {
  const Frame& f = frame(page);
  if (f.is_whole()) {
    return f.whole + (page.page() - page.large_page());
  }
  if (!f.pages || (*f.pages)[index_in_frame(page)] == SystemPhysical(0)) {
    return std::nullopt;
  }
  return (*f.pages)[index_in_frame(page)];
}

void Backing::put_whole(GuestPhysical page, SystemPhysical at) {
  Frame& f = frame(page);
  if (!f.is_empty()) {
    host::broken_invariant("a 2 MiB page was put over existing memory");
  }
  f.pages.reset();
  f.whole = at;
  f.present = pages_per_frame;
}

void Backing::put_page(GuestPhysical page, SystemPhysical at) {
  Frame& f = frame(page);
  if (f.is_whole()) {
    host::broken_invariant("a page was put into a whole frame");
  }
  if (!f.pages) {
    f.pages = std::make_unique<std::array<SystemPhysical, pages_per_frame>>();
  }
  (*f.pages)[index_in_frame(page)] = at;
  ++f.present;
}

SystemPhysical Backing::take_page(GuestPhysical page) {
  Frame& f = frame(page);
  if (f.is_whole()) {
    f.pages = std::make_unique<std::array<SystemPhysical, pages_per_frame>>();
    for (usize i = 0; i < pages_per_frame; ++i) {
      (*f.pages)[i] = f.whole + i * page_size;
    }
    f.whole = SystemPhysical(0);
  }
  if (!f.pages || (*f.pages)[index_in_frame(page)] == SystemPhysical(0)) {
    host::broken_invariant("a page was taken that is not there");
  }
  const SystemPhysical taken = (*f.pages)[index_in_frame(page)];
  (*f.pages)[index_in_frame(page)] = SystemPhysical(0);
  if (--f.present == 0) {
    f.pages.reset();
  }
  return taken;
}

SystemPhysical Backing::take_whole(GuestPhysical page) {
  Frame& f = frame(page);
  const SystemPhysical taken = f.whole;
  f.whole = SystemPhysical(0);
  f.present = 0;
  return taken;
}

}  // namespace softsnp::kvm
