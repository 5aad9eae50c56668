// Random states in which an instruction does something worth comparing: addresses within the test
// window, divisors that sometimes fit, counts that are small.
#pragma once

#include "tests/machine/cpu/exec/encode.hpp"
#include "tests/machine/cpu/exec/native.hpp"

namespace softsnp::cpu::test {

// False: registers of this encoding are at odds (an index that is its own base); take another.
bool preparable(const Encoding& encoding);
// Fills state and the window of memory.
void prepare_state(const Encoding& encoding, MachineState& state, Random& random);

}  // namespace softsnp::cpu::test
