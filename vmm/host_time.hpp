// Wall-clock time, in the two places where a run may look at it: to end the run, and to wait while
// a person types. Neither decides anything the guest can see.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/types.hpp"

namespace softsnp::vmm {

using HostClock = std::chrono::steady_clock;

class Watchdog {
 public:
  explicit Watchdog(std::optional<std::chrono::milliseconds> timeout) {
    if (timeout) {
      deadline_ = HostClock::now() + *timeout;
    }
  }
  bool expired() const { return deadline_ && HostClock::now() >= *deadline_; }

 private:
  std::optional<HostClock::time_point> deadline_;
};

// An idle guest's clock jumps from timer to timer. With a person at the console it waits for real
// time to catch up after each slice, so that "sleep 1" takes a second.
class Pacing {
 public:
  // Virtual time reached at the end of a slice: how long to wait before the next.
  std::chrono::milliseconds wait(u64 virtual_now, u64 hz) {
    const auto now = HostClock::now();
    const double slept =
        static_cast<double>(virtual_now - virtual_before_) / static_cast<double>(hz);
    const double passed = std::chrono::duration<double>(now - host_before_).count();
    virtual_before_ = virtual_now;
    debt_ = std::clamp(debt_ + slept - passed, 0.0, longest_debt);
    host_before_ = now;
    return std::chrono::milliseconds(static_cast<i64>(debt_ * 1000));
  }

 private:
  static constexpr double longest_debt = 0.05;  // a signal is noticed this soon
  HostClock::time_point host_before_ = HostClock::now();
  u64 virtual_before_ = 0;
  double debt_ = 0;
};

}  // namespace softsnp::vmm
