// Reading and writing little-endian values in raw bytes without aliasing. Freestanding.
#pragma once

#include <type_traits>

#include "base/types.hpp"

namespace softsnp {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "hosts are little-endian");

template <class T>
inline T load_le(const void* from) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
inline void store_le(void* to, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  __builtin_memcpy(to, &value, sizeof value);
}

}  // namespace softsnp
