// Answers each of KVM's exits. Visited without a default: a new exit does not build until it has
// its answer here.
#pragma once

#include <optional>
#include <span>

#include "hypervisor/kvm/kvm.hpp"
#include "vmm/board.hpp"
#include "vmm/memory_conversion.hpp"
#include "vmm/outcome.hpp"

namespace softsnp::vmm {

class ExitHandler {
 public:
  // Nothing: the VM may run on.
  using Answer = std::optional<RunOutcome>;

  // certificates outlives the handler.
  ExitHandler(kvm::Vm& vm, Board& board, std::vector<image::RamRange> ram,
              std::span<const u8> certificates)
      : vm_(vm), board_(board), conversion_(vm, std::move(ram)), certificates_(certificates) {}

  // shown: an end that one vCPU brought about tells which.
  enum class VcpuNames : u8 { hidden, shown };
  Answer answer(const kvm::VmExit& exit, VcpuNames names);

  Answer operator()(const kvm::IoExit& exit);
  Answer operator()(const kvm::MmioExit& exit);
  Answer operator()(const kvm::HypercallExit& exit);
  Answer operator()(const kvm::CertificatesExit& exit);
  Answer operator()(const kvm::MemoryFaultExit& exit);
  Answer operator()(const kvm::TerminationExit& exit);
  Answer operator()(const kvm::IoapicEoiExit& exit);
  Answer operator()(const kvm::ShutdownExit& exit);
  Answer operator()(const kvm::FailEntryExit& exit);
  Answer operator()(const kvm::NoProgressExit& exit);
  Answer operator()(const kvm::InternalErrorExit& exit);
  Answer operator()(const kvm::InterruptedExit& exit);

 private:
  Answer port_in(const kvm::IoExit& exit);
  Answer port_out(const kvm::IoExit& exit);
  Answer requested_end() const;

  kvm::Vm& vm_;
  kvm::Vcpu* vcpu_ = nullptr;  // whose exit is answered
  Board& board_;
  MemoryConversion conversion_;
  std::span<const u8> certificates_;
};

}  // namespace softsnp::vmm
