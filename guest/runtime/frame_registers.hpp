// The saved registers by their numbers in instructions.
#pragma once

#include "arch/x86/registers.hpp"
#include "guest/runtime/exceptions.hpp"

namespace softsnp::guest {

inline u64& gpr(Frame& frame, x86::Gpr reg) {
  static constexpr u64 Frame::*members[] = {&Frame::rax, &Frame::rcx, &Frame::rdx, &Frame::rbx,
                                            &Frame::rsp, &Frame::rbp, &Frame::rsi, &Frame::rdi,
                                            &Frame::r8,  &Frame::r9,  &Frame::r10, &Frame::r11,
                                            &Frame::r12, &Frame::r13, &Frame::r14, &Frame::r15};
  return frame.*members[static_cast<unsigned>(reg)];
}

// APM3 1.2.3: 4 bytes clear the upper half, 1 and 2 leave the rest alone.
inline void write_register(u64& reg, u64 value, unsigned size, bool high_byte = false) {
  if (size == 8) {
    reg = value;
  } else if (size == 4) {
    reg = static_cast<u32>(value);
  } else {
    const unsigned low = high_byte ? 8 : 0;
    reg = with_bits(reg, low + 8 * size - 1, low, value);
  }
}

inline bool from_user(const Frame& frame) {
  return (frame.cs & 3) == 3;
}

}  // namespace softsnp::guest
