// Ctrl-A commands as QEMU's users know them: x leaves, h and c show help, Ctrl-A twice sends one.
#pragma once

#include "base/types.hpp"

namespace softsnp::vmm {

class EscapeKeys {
 public:
  enum class Meaning : u8 { input, nothing, quit, help };
  // What a typed byte means; of input, the byte goes to the guest.
  Meaning typed(u8 byte) {
    constexpr u8 ctrl_a = 1;
    if (!escaped_) {
      escaped_ = byte == ctrl_a;
      return escaped_ ? Meaning::nothing : Meaning::input;
    }
    escaped_ = false;
    switch (byte) {
      case 'x':
      case 'X':
      case 'x' & 0x1F:
        return Meaning::quit;
      case 'h':
      case 'H':
      case 'c':
      case 'C':
      case '?':
        return Meaning::help;
      case ctrl_a:
        return Meaning::input;
      default:
        return Meaning::nothing;
    }
  }

 private:
  bool escaped_ = false;
};

}  // namespace softsnp::vmm
