// The loader's identity map. linux-boot sheet 1.7.
#pragma once

#include <vector>

#include "arch/boot/platform.hpp"
#include "arch/x86/registers.hpp"
#include "image/launch_plan.hpp"
#include "image/low_memory.hpp"

namespace softsnp::image {

// Six pages for low::page_tables: 4 GiB in 2 MiB pages, writable and executable. With snp, RAM has
// the C-bit (in the tables above it, too) and the device range above low_ram_limit has not.
std::vector<u8> identity_map(Mode mode, unsigned c_bit);

// Of the device range's first 2 MiB: the linear address, its leaf entry's gPA, and what that entry
// becomes to show the first 2 MiB of RAM in the clear.
inline constexpr u64 window_address = boot::platform::low_ram_limit;
inline constexpr GuestPhysical window_entry = low::page_tables + 5 * page_size;
inline constexpr u64 window_on_first_ram =
    x86::pte::present | x86::pte::write | x86::pte::large | x86::pte::accessed | x86::pte::dirty;

}  // namespace softsnp::image
