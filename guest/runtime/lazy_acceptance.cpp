#include "guest/runtime/lazy_acceptance.hpp"

namespace softsnp::guest {

bool LazyAcceptance::is_unaccepted(GuestPhysical at) const {
  const u64 block = (at - first_) / block_bytes;
  return at >= first_ && block / 64 < unaccepted_.size() &&
         has_bit(unaccepted_[block / 64], static_cast<unsigned>(block % 64));
}

Checked<void> LazyAcceptance::accept(GuestPhysical at) {
  if (!is_unaccepted(at)) {
    return fail(Cause::page_not_validated);
  }
  const u64 block = (at - first_) / block_bytes;
  unaccepted_[block / 64] &= ~bit(static_cast<unsigned>(block % 64));
  return conversion_.make_private({at.large_page(), block_bytes / page_size});
}

}  // namespace softsnp::guest
