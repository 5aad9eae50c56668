// The loader's identity map. linux-boot sheet 1.7.
#pragma once

#include <vector>

#include "image/launch_plan.hpp"

namespace softsnp::image {

// Six pages for low::page_tables: 4 GiB in 2 MiB pages, writable and executable. With snp, RAM has
// the C-bit (in the tables above it, too) and the device range above low_ram_limit has not.
std::vector<u8> identity_map(Mode mode, unsigned c_bit);

}  // namespace softsnp::image
