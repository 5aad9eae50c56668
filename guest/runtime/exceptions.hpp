// Exceptions inside the guest: an IDT of its own, and probes that survive a fault.
#pragma once

#include "base/types.hpp"

namespace softsnp::guest {

struct Frame {
  u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
  u64 vector, error;
  u64 rip, cs, rflags, rsp, ss;
};

// GDT, IDT; once at start.
void install_exceptions();

struct ProbeResult {
  bool faulted = false;
  u64 vector = 0;
  u64 error = 0;
  u64 address = 0;  // CR2
  u64 value = 0;    // what a read saw
};
// One 8-byte access that may fault.
ProbeResult probe_read(const volatile void* at);
ProbeResult probe_write(volatile void* at, u64 value);

}  // namespace softsnp::guest
