// The native area lies at fixed addresses: one for the whole test program.
#pragma once

#include "tests/machine/cpu/exec/native.hpp"

namespace softsnp::cpu::test {

inline Native& host() {
  static Native* const native = new Native;  // lives as long as its signal handlers
  return *native;
}

}  // namespace softsnp::cpu::test
