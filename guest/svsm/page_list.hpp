// The list of a PVALIDATE or DEPOSIT_MEM call, copied once. SVSM sheet 4.2. Freestanding.
#pragma once

#include "arch/svsm/page_list.hpp"
#include "guest/svsm/request.hpp"

namespace softsnp::svsm {

class PageList {
 public:
  // RCX of the request; the header's and the list's rules are checked.
  ResultCode copy_in(Request& request);

  bool done() const { return next_ == header_.entries; }
  // Not done.
  PageEntry entry() const { return entries_[next_]; }
  void advance() { ++next_; }
  // Tells the guest how far we came; result goes with it, if that is possible.
  ResultCode finish(Request& request, ResultCode result) const;

 private:
  GuestPhysical at_;
  PageListHeader header_{};
  u16 next_ = 0;
  PageEntry entries_[max_entries_in_page];
};

}  // namespace softsnp::svsm
