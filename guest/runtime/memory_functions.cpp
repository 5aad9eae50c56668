// What the compiler calls whatever the flags say. Weak: a guest with a C library uses that one's.
#include "base/types.hpp"

using softsnp::u8;
using softsnp::usize;

extern "C" {

__attribute__((weak)) void* memset(void* to, int value, usize size) {
  void* at = to;
  asm volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
  return to;
}

__attribute__((weak)) void* memcpy(void* to, const void* from, usize size) {
  void* at = to;
  asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
  return to;
}

__attribute__((weak)) void* memmove(void* to, const void* from, usize size) {
  if (to <= from) {
    return memcpy(to, from, size);
  }
  auto* last = static_cast<u8*>(to) + size - 1;
  const auto* source = static_cast<const u8*>(from) + size - 1;
  asm volatile("std; rep movsb; cld" : "+D"(last), "+S"(source), "+c"(size) : : "memory");
  return to;
}

__attribute__((weak)) int memcmp(const void* a, const void* b, usize size) {
  const auto* x = static_cast<const volatile u8*>(a);
  const auto* y = static_cast<const volatile u8*>(b);
  for (usize i = 0; i < size; ++i) {
    if (x[i] != y[i]) {
      return x[i] < y[i] ? -1 : 1;
    }
  }
  return 0;
}
}
