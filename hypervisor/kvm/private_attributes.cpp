#include "hypervisor/kvm/private_attributes.hpp"

namespace softsnp::kvm {
namespace {
constexpr unsigned large_shift = 21;
unsigned index_in_frame(GuestPhysical page) {
  return static_cast<unsigned>(page.page_number() % 512);
}
}  // namespace

void PrivateAttributes::set_page(Frame& frame, unsigned index, bool is_private) {
  u64& word = frame.bits[index / 64];
  if (has_bit(word, index % 64) == is_private) {
    return;
  }
  word ^= bit(index % 64);
  frame.private_pages = static_cast<u16>(frame.private_pages + (is_private ? 1 : -1));
}

void PrivateAttributes::set(GuestPhysical first, u64 bytes, bool is_private) {
  for (u64 done = 0; done < bytes;) {
    const GuestPhysical page = first + done;
    if (page.is_large_page_aligned() && bytes - done >= large_page_size) {
      if (is_private) {
        Frame& frame = frames_[page.value() >> large_shift];
        frame.private_pages = pages_per_frame;
        frame.bits.fill(~u64{0});
      } else {
        frames_.erase(page.value() >> large_shift);
      }
      done += large_page_size;
    } else {
      set_page(frames_[page.value() >> large_shift], index_in_frame(page), is_private);
      done += page_size;
    }
  }
}

bool PrivateAttributes::is_private(GuestPhysical page) const {
  const auto found = frames_.find(page.value() >> large_shift);
  if (found == frames_.end()) {
    return false;
  }
  const unsigned index = index_in_frame(page);
  return has_bit(found->second.bits[index / 64], index % 64);
}

bool PrivateAttributes::all_private(GuestPhysical page) const {
  const auto found = frames_.find(page.value() >> large_shift);
  return found != frames_.end() && found->second.private_pages == pages_per_frame;
}

bool PrivateAttributes::all_shared(GuestPhysical page) const {
  const auto found = frames_.find(page.value() >> large_shift);
  return found == frames_.end() || found->second.private_pages == 0;
}

}  // namespace softsnp::kvm
