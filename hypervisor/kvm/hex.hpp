// Numbers for people.
#pragma once

#include <string>

#include "base/types.hpp"

namespace softsnp::kvm {

inline std::string hex(u64 value) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), digits[value & 15]);
    value >>= 4;
  } while (value != 0);
  return "0x" + text;
}

}  // namespace softsnp::kvm
