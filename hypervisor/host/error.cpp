#include "hypervisor/host/error.hpp"

#include <cstdio>
#include <cstdlib>

namespace softsnp::host {

void broken_invariant(const char* what) {
  std::fprintf(stderr, "softsnp: broken invariant in the host kernel: %s\n", what);
  std::abort();
}

}  // namespace softsnp::host
