// Emulation of one instruction of a plain VM that touched a gPA without memory. The instruction is
// run from the start each time: loads that the VMM must answer stop it, and their answers are
// replayed; registers change only once nothing can stop it any more.
#pragma once

#include <span>
#include <variant>
#include <vector>

#include "arch/svm/vmcb.hpp"
#include "hypervisor/kvm/exits.hpp"
#include "hypervisor/kvm/guest_translation.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::kvm {

// MMIO that is answered inside the hypervisor (the local APIC).
class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  virtual bool owns(GuestPhysical gpa) const = 0;
  virtual u64 read(GuestPhysical gpa, unsigned size) = 0;
  virtual void write(GuestPhysical gpa, unsigned size, u64 value) = 0;
};

class MmioEmulator {
 public:
  MmioEmulator(GuestMemory& memory, svm::Vmcb& vmcb, machine::CoreRegisters& core,
               MmioDevice& device)
      : memory_(memory), vmcb_(vmcb), core_(core), device_(device), translation_(memory, vmcb) {}

  // Registers changed, RIP is past the instruction or at its next repetition.
  struct Done {};
  // The VMM is asked; after a read, answer() and run() again. A write is the last thing to do.
  struct Ask {
    MmioExit exit;
  };
  struct Unsupported {
    std::string what;
  };
  using Outcome = std::variant<Done, Ask, TranslationFault, Unsupported>;

  // A new instruction at RIP.
  Outcome start();
  Outcome run();
  void answer(u64 value) { answers_.push_back(value); }

 private:
  // Why an operand could not be had at once.
  using Stop = std::variant<Ask, TranslationFault, Unsupported>;
  struct Instruction;

  Result<std::vector<u8>, TranslationFault> fetch() const;
  Outcome execute(const Instruction& instruction);
  Outcome execute_move(const Instruction& instruction);
  Outcome execute_string(const Instruction& instruction);
  Outcome execute_arithmetic(const Instruction& instruction);
  Result<u64, Stop> read_operand(const Instruction& instruction, unsigned index);
  Result<u64, Stop> load(GuestVirtual at, unsigned size);
  // Stores and commits: Done, or Ask with the commit made.
  Result<void, Stop> store(GuestVirtual at, unsigned size, u64 value);
  Result<void, Stop> write_operand(const Instruction& instruction, unsigned index, u64 value);
  Result<GuestPhysical, Stop> locate(GuestVirtual at, AccessKind kind) const;
  GuestVirtual address_of(const Instruction& instruction, unsigned index) const;
  u64 segment_base(int zydis_register) const;
  u64 read_register(int zydis_register) const;
  void write_register(int zydis_register, u64 value);
  u64& gpr(unsigned index);
  u64 gpr(unsigned index) const;
  void finish(const Instruction& instruction);
  bool is_64bit() const;

  GuestMemory& memory_;
  svm::Vmcb& vmcb_;
  machine::CoreRegisters& core_;
  MmioDevice& device_;
  GuestTranslation translation_;
  std::vector<u64> answers_;
  usize answers_used_ = 0;
};

}  // namespace softsnp::kvm
