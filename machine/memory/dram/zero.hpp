// Whether a run of bytes is all zero, stopping at the first that is not.
#pragma once

#include <cstring>

#include "base/types.hpp"

namespace softsnp::memory {

// Requires bytes > 0.
inline bool all_zero(const u8* data, u64 bytes) {
  return data[0] == 0 && std::memcmp(data, data + 1, bytes - 1) == 0;
}

}  // namespace softsnp::memory
