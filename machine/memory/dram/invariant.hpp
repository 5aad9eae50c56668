// A broken invariant of our own is no error value: it stops the program, with place and state.
#pragma once

#include "base/types.hpp"

namespace softsnp::memory {

[[noreturn]] void broken_invariant(const char* what, u64 state);

}  // namespace softsnp::memory
