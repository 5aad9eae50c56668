// Text to COM1. Port I/O goes through #VC and the GHCB in an SNP guest, straight out otherwise.
#pragma once

#include "base/types.hpp"

namespace softsnp::guest {

struct Hex {
  u64 value;
};

// Without 0x.
struct LowerHex {
  u64 value;
};

void print_one(const char* text);
void print_one(LowerHex value);
void print_one(u64 value);
void print_one(Hex value);

template <class... T>
void print(T... parts) {
  (print_one(parts), ...);
}

}  // namespace softsnp::guest
