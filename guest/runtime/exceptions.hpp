// Exceptions inside the guest: descriptor tables in the user's memory, entry stubs that save the
// registers. Whoever links this file defines softsnp_guest_exception.
#pragma once

#include "base/types.hpp"

namespace softsnp::guest {

// As the stubs push it.
struct Frame {
  u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
  u64 vector, error;
  u64 rip, cs, rflags, rsp, ss;
};

// One vCPU's, or one for all.
struct ExceptionTables {
  struct Gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
  };
  static constexpr u16 code_selector = 8, data_selector = 16;
  u64 gdt[3];
  Gate idt[32];
};

// Loads GDT and IDT, and the segment registers from them.
void install_exceptions(ExceptionTables& tables);

}  // namespace softsnp::guest

// Called with the saved registers, which are restored from the frame on return.
extern "C" void softsnp_guest_exception(softsnp::guest::Frame* frame);
