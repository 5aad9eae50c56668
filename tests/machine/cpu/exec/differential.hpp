// One encoding, many random states: the host processor and the executor must agree on registers,
// defined flags, memory and exceptions.
#pragma once

#include <string>

#include "tests/machine/cpu/exec/encode.hpp"
#include "tests/machine/cpu/exec/exec_runner.hpp"
#include "tests/machine/cpu/exec/host.hpp"
#include "tests/machine/cpu/exec/native.hpp"

namespace softsnp::cpu::test {

// Text of the first disagreements; empty if there are none.
class Differential {
 public:
  Differential();

  std::string run(const Encoding& encoding, unsigned states, Random& random);
  u64 states() const { return states_; }
  u64 faults() const { return faults_; }
  Exec& exec() { return exec_; }

 private:
  static std::string compare(const Encoding& encoding, const MachineState& before,
                             const MachineState& native, const MachineState& ours,
                             const u8* memory);

  Exec exec_;
  u64 states_ = 0;
  u64 faults_ = 0;
};

// Flags that the instruction leaves undefined, given the state before it (APM volume 3).
u64 undefined_flags(const Encoding& encoding, const MachineState& before);

// False: the host does not have the instruction.
bool host_supports(const ZydisDecodedInstruction& instruction);

}  // namespace softsnp::cpu::test
