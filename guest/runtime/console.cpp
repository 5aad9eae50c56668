#include "guest/runtime/console.hpp"

#include "arch/boot/platform.hpp"
#include "guest/runtime/cpu.hpp"

namespace softsnp::guest {
namespace {

void put(char c) {
  if (c == '\n') {
    out8(boot::platform::com1_port, '\r');
  }
  out8(boot::platform::com1_port, static_cast<u8>(c));
}

}  // namespace

void print_one(const char* text) {
  for (; *text != 0; ++text) {
    put(*text);
  }
}

void print_one(u64 value) {
  char digits[20];
  unsigned n = 0;
  do {
    digits[n++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (n != 0) {
    put(digits[--n]);
  }
}

void print_one(Hex value) {
  print_one("0x");
  print_one(LowerHex{value.value});
}

void print_one(LowerHex value) {
  bool leading = true;
  for (int shift = 60; shift >= 0; shift -= 4) {
    const unsigned digit = (value.value >> shift) & 0xF;
    leading = leading && digit == 0 && shift != 0;
    if (!leading) {
      put("0123456789abcdef"[digit]);
    }
  }
}

}  // namespace softsnp::guest
