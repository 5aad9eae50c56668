// Conversion between the ticks of two clocks, exact in 128 bits so that a device's count never
// drifts from virtual time.
#pragma once

#include "vmm/devices/ports.hpp"

namespace softsnp::devices {

using u128 = unsigned __int128;

// Ticks of a clock of rate hz that have passed at clock.now().
inline u64 ticks_at(u64 now, u64 clock_hz, u64 hz) {
  return static_cast<u64>(u128{now} * hz / clock_hz);
}
inline u64 ticks_of(const Clock& clock, u64 hz) {
  return ticks_at(clock.now(), clock.frequency_hz(), hz);
}

// The first instant of the clock at which ticks_of(clock, hz) >= ticks.
inline u64 instant_of(const Clock& clock, u64 ticks, u64 hz) {
  return static_cast<u64>((u128{ticks} * clock.frequency_hz() + hz - 1) / hz);
}

// The earlier of two event times, where 0 is "none".
inline u64 earlier(u64 a, u64 b) {
  if (a == 0 || b == 0) {
    return a | b;
  }
  return a < b ? a : b;
}

}  // namespace softsnp::devices
