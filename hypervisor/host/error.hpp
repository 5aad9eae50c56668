// Failures inside the host kernel: an errno, the firmware's status if it said no, a line for
// people.
#pragma once

#include <string>

#include "base/types.hpp"

namespace softsnp::host {

struct Error {
  int number = 0;    // errno, positive
  u16 firmware = 0;  // AMD-SP status (firmware sheet 1.2), 0 if no command was refused
  std::string what;
};

// A broken invariant of ours is no error value: says where and stops.
[[noreturn]] void broken_invariant(const char* what);

}  // namespace softsnp::host
