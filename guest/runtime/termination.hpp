// The end of a guest that cannot go on. GHCB sheet 2.3.
#pragma once

#include "guest/runtime/cause.hpp"
#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

// Asks the hypervisor by the MSR protocol, which needs nothing, and never comes back whatever the
// hypervisor does.
[[noreturn]] void terminate(Processor& processor, ghcb::TerminationReason reason);
[[noreturn]] inline void terminate(Processor& processor, Cause cause) {
  terminate(processor, reason(cause));
}

// For code that has no other way to go on: the value, or the end.
template <class T>
T or_terminate(Processor& processor, Checked<T> result) {
  if (!result) {
    terminate(processor, result.error());
  }
  if constexpr (!std::is_void_v<T>) {
    return *result;
  }
}

}  // namespace softsnp::guest
