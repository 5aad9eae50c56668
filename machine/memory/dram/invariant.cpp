#include "machine/memory/dram/invariant.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace softsnp::memory {

void broken_invariant(const char* what, u64 state) {
  std::fprintf(stderr, "softsnp: broken invariant in machine/memory: %s (0x%" PRIx64 ")\n", what,
               state);
  std::abort();
}

}  // namespace softsnp::memory
