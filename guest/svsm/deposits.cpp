#include "guest/svsm/deposits.hpp"

namespace softsnp::svsm {

bool Deposits::overlaps(const Stretch& range) const {
  for (usize i = 0; i < count_; ++i) {
    if (range.overlaps(stretches_[i])) {
      return true;
    }
  }
  return false;
}

void Deposits::add(const Stretch& range) {
  Stretch* const last = count_ == 0 ? nullptr : &stretches_[count_ - 1];
  if (last != nullptr && range.start == last->start + last->bytes) {
    last->bytes += range.bytes;
  } else {
    stretches_[count_++] = range;
  }
}

GuestPhysical Deposits::last() const {
  const Stretch& stretch = stretches_[count_ - 1];
  return stretch.start + (stretch.bytes - page_size);
}

void Deposits::remove_last() {
  Stretch& stretch = stretches_[count_ - 1];
  stretch.bytes -= page_size;
  if (stretch.bytes == 0) {
    --count_;
  }
}

}  // namespace softsnp::svsm
