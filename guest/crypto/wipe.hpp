// Zeroes that the compiler may not leave out. Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::crypto {

inline void wipe(void* at, usize size) {
  auto* bytes = static_cast<volatile u8*>(at);
  for (usize i = 0; i < size; ++i) {
    bytes[i] = 0;
  }
}

// The time depends on size alone.
inline bool equal(const u8* a, const u8* b, usize size) {
  u8 difference = 0;
  for (usize i = 0; i < size; ++i) {
    difference = static_cast<u8>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

}  // namespace softsnp::crypto
