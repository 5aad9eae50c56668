// One core: executor, MMU, system instructions and SVM put together, and the loop that runs a
// guest from VMRUN to #VMEXIT.
#pragma once

#include "machine/cpu/block_builder.hpp"
#include "machine/cpu/svm/svm.hpp"

namespace softsnp::cpu {

// Virtual time of the machine: advances with retired instructions and jumps when all cores idle.
struct Clock {
  u64 now = 0;
};

class Processor {
 public:
  // All references must outlive the processor. observer may be null.
  Processor(memory::Dram& dram, memory::Rmp& rmp, CodeStore& code, Platform& platform, Clock& clock,
            Observer* observer);

  // VMRUN with RAX = vmcb: runs the guest until #VMEXIT. A physical interrupt arrives once
  // max_instructions have retired (exactly; a guest that masks it goes on).
  Result<void, x86::Vector> vmrun(SystemPhysical vmcb, u64 max_instructions);

  // Counters::memory_operands is kept from now on; to be said before the first vmrun.
  void count_memory_operands() { builder_.count_memory_operands(true); }

  Svm& svm() { return svm_; }
  Core& core() { return *core_; }
  const Core& core() const { return *core_; }
  Mmu& mmu() { return mmu_; }
  System& system() { return system_; }
  const System& system() const { return system_; }
  u64 retired() const { return core_->retired_base; }

 private:
  // Runs until the executor needs something other than the next block.
  void advance(u64 limit, bool single);
  Block* next_block();
  void account(u64 instructions);
  void dispatch(u64 ran, bool single, u64& left);

  Clock& clock_;
  std::unique_ptr<Core> core_;
  Mmu mmu_;
  System system_;
  Svm svm_;
  BlockBuilder builder_;
  bool fetch_failed_ = false;
};

}  // namespace softsnp::cpu
