// The bytes of loops.hpp's code.
#pragma once

#include <span>

#include "bench/machine/cpu/loops.hpp"

namespace softsnp::bench {

std::span<const u8> loop_code();
// Where in loop_code() a loop starts.
u64 offset_of(Loop loop);

}  // namespace softsnp::bench
