// GUIDs as firmware tables hold them. UEFI 2.10 appendix A. Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::boot {

// In the order of the file: the first three groups little-endian.
struct Guid {
  u8 bytes[16] = {};
  friend constexpr bool operator==(const Guid&, const Guid&) = default;
};

constexpr Guid make_guid(u32 a, u16 b, u16 c, u64 d) {
  Guid guid;
  for (unsigned i = 0; i < 4; ++i) {
    guid.bytes[i] = static_cast<u8>(a >> (8 * i));
  }
  for (unsigned i = 0; i < 2; ++i) {
    guid.bytes[4 + i] = static_cast<u8>(b >> (8 * i));
    guid.bytes[6 + i] = static_cast<u8>(c >> (8 * i));
  }
  for (unsigned i = 0; i < 8; ++i) {
    guid.bytes[8 + i] = static_cast<u8>(d >> (8 * (7 - i)));
  }
  return guid;
}

}  // namespace softsnp::boot
