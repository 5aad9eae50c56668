// Which guest addresses are memory, and what the guest is told about them. linux-boot sheet 1.6,
// 1.8.
#pragma once

#include <vector>

#include "image/launch_plan.hpp"

namespace softsnp::image {

inline constexpr u64 minimum_memory = u64{4} << 20;
inline constexpr u64 maximum_memory = u64{1} << 40;

// Memory of that size: low, from the ROM area to low_ram_limit, and from 4 GiB on. The VGA window
// counts as used. size: minimum_memory..maximum_memory, a multiple of 4 KiB.
std::vector<RamRange> ram_ranges(u64 size);

// The end of RAM below 4 GiB.
GuestPhysical low_ram_end(u64 size);

std::vector<boot::E820Entry> e820_map(u64 size, Mode mode, Acceptance acceptance);

// Where the guest's own RAM below 1 MiB ends.
GuestPhysical free_low_end(Acceptance acceptance);

// [start, start + length) lies in RAM the guest may use freely, above the loader's own pages.
bool is_free_ram(u64 memory_size, Acceptance acceptance, GuestPhysical start, u64 length);

}  // namespace softsnp::image
