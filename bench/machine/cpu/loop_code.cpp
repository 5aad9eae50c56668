#include "bench/machine/cpu/loop_code.hpp"

// The linker's names for the section's ends.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" const softsnp::u8 __start_softsnp_loops[];
extern "C" const softsnp::u8 __stop_softsnp_loops[];
// NOLINTEND(bugprone-reserved-identifier)

namespace softsnp::bench {

std::span<const u8> loop_code() {
  return {__start_softsnp_loops, __stop_softsnp_loops};
}

u64 offset_of(Loop loop) {
  return reinterpret_cast<u64>(loop) - reinterpret_cast<u64>(__start_softsnp_loops);
}

}  // namespace softsnp::bench
