// How many guest requests may reach the firmware: one guest must not keep the AMD-SP from the
// others. Counts as Linux's lib/ratelimit.c does: so many in a second that starts with the first.
#pragma once

#include "base/types.hpp"

namespace softsnp::kvm {

class RequestLimiter {
 public:
  RequestLimiter() = default;
  // 0: no limit.
  explicit RequestLimiter(u32 per_second) : per_second_(per_second) {}

  // Times in ticks of a clock of hz.
  bool admits(u64 now, u64 hz) const {
    return per_second_ == 0 || window_is_over(now, hz) || used_ < per_second_;
  }
  void count(u64 now, u64 hz) {
    if (window_is_over(now, hz)) {
      began_ = now;
      used_ = 0;
    }
    ++used_;
  }

 private:
  bool window_is_over(u64 now, u64 hz) const { return used_ == 0 || now - began_ >= hz; }

  u32 per_second_ = 0;
  u32 used_ = 0;  // since began_
  u64 began_ = 0;
};

}  // namespace softsnp::kvm
