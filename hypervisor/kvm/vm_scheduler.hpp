// The host kernel's scheduler for the threads of one VM's vCPUs. There is one host thread: vCPUs
// take turns in the order of their indices, each for a fixed number of instructions, so that the
// same run is the same again. One that waits is passed over; one that spins (PAUSE filter) gives
// the rest of its turn away, as Linux' kvm_vcpu_on_spin() has it; one that sent an IPI soon does,
// as a thread that wakes another is soon preempted by it.
#pragma once

#include "hypervisor/kvm/vm_context.hpp"

namespace softsnp::kvm {

class VmScheduler {
 public:
  explicit VmScheduler(VmContext& vm) : vm_(vm) {}

  // Vm::run().
  VmExit run(u64 deadline_tsc);

 private:
  u64 turn_limit(u64 deadline_tsc) const;
  bool give_turn();
  void end_turn() { in_turn_ = false; }
  std::optional<VmExit> idle(u64 deadline_tsc);
  std::string describe_waits() const;

  VmContext& vm_;
  usize turn_ = 0;
  usize next_ = 0;  // who is asked first when the turn is over
  bool in_turn_ = false;
  u64 turn_end_ = 0;  // host TSC at which others may have the core
};

}  // namespace softsnp::kvm
