// One access that may fault, and what it met.
#pragma once

#include "guest/runtime/exceptions.hpp"

namespace softsnp::guest {

struct ProbeResult {
  bool faulted = false;
  u64 vector = 0;
  u64 error = 0;
  u64 address = 0;  // CR2
  u64 value = 0;    // what a read saw
};
// One 8-byte access.
ProbeResult probe_read(const volatile void* at);
ProbeResult probe_write(volatile void* at, u64 value);

// For the exception handler: true if the exception is a probe's.
bool end_probe(Frame& frame, u64 cr2);

}  // namespace softsnp::guest
