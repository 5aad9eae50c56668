#include "guest/svsm/page_list.hpp"

namespace softsnp::svsm {

ResultCode PageList::copy_in(Request& request) {
  at_ = GuestPhysical(request.registers.rcx);
  if (!is_aligned(at_.value(), sizeof(PageEntry))) {
    return ResultCode::invalid_parameter;
  }
  // Usually it stands in the caller's Calling Area.
  if (!request.state.is_free(page_at(at_), &request.caller) ||
      !read_value(request.platform, at_, header_)) {
    return ResultCode::invalid_address;
  }
  const u64 room = (page_size - at_.page_offset() - sizeof header_) / sizeof(PageEntry);
  if (header_.entries == 0 || header_.next >= header_.entries || header_.entries > room) {
    return ResultCode::invalid_parameter;
  }
  next_ = header_.next;
  const u64 first = u64{next_} * sizeof(PageEntry);
  const usize bytes = (header_.entries - next_) * sizeof(PageEntry);
  if (!request.platform.read(at_ + (sizeof header_ + first), &entries_[next_], bytes)) {
    return ResultCode::invalid_address;
  }
  return ResultCode::success;
}

ResultCode PageList::finish(Request& request, ResultCode result) const {
  const GuestPhysical at = at_ + __builtin_offsetof(PageListHeader, next);
  return write_value(request.platform, at, next_) ? result : ResultCode::invalid_address;
}

}  // namespace softsnp::svsm
