// What a counter of the 8254 shows at a given tick, by mode. Intel 8254 data sheet (231164-005),
// "Mode definitions", figures 15 to 20.
#pragma once

#include "vmm/devices/pit.hpp"

namespace softsnp::devices::pit {

// Ticks the counter has counted since its count was loaded or triggered.
u64 elapsed(const Pit::Channel& channel, u64 now);
// The counting element as read back, in binary or BCD.
u16 count(const Pit::Channel& channel, u64 now);
bool output(const Pit::Channel& channel, u64 now);
// Rising edges of the output since the count began.
u64 rising_edges(const Pit::Channel& channel, u64 now);
// Tick of the next rising edge after now; 0 = none.
u64 next_rising_edge(const Pit::Channel& channel, u64 now);

}  // namespace softsnp::devices::pit
