#include "cli/last_moments.hpp"

#include <fmt/format.h>

#include "machine/cpu/decode/disassembler.hpp"
#include "machine/cpu/processor.hpp"

namespace softsnp::cli {

observe::Moment LastMoments::moment() const {
  if (machine_ == nullptr) {
    return {};
  }
  const unsigned vcpu = machine_->last_core();  // vCPU i has core i
  const cpu::Processor& processor = machine_->core(vcpu);
  const bool in_guest = processor.system().controls().guest;
  if (in_guest) {
    return {machine_->now(), vcpu, machine_->core(vcpu).mmu().guest().vmpl,
            processor.core().state.rip};
  }
  return {machine_->now(), vcpu, last_vmpl_, last_rip_};
}

void LastMoments::vmexit(svm::ExitCode, u64, u64, u64 rip) {
  last_rip_ = rip;
  if (machine_ != nullptr) {
    last_vmpl_ = machine_->core(machine_->last_core()).mmu().guest().vmpl;
  }
}

void LastMoments::triple_fault(const cpu::FaultChain&) {
  if (machine_ == nullptr) {
    return;
  }
  const cpu::Core& core = machine_->core(machine_->last_core()).core();
  const cpu::CoreState& state = core.state;
  static constexpr const char* names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  registers_ = fmt::format("rip {:#x} rflags {:#x} cs {:#x} cpl {}", state.rip, state.rflags(),
                           state.seg[1].selector, state.cpl);
  for (usize i = 0; i < std::size(names); ++i) {
    registers_ += fmt::format("{}{} {:#x}", i % 4 == 0 ? "\n  " : " ", names[i], state.gpr[i]);
  }
  registers_ += fmt::format(
      "\n  cr0 {:#x} cr2 {:#x} cr3 {:#x} cr4 {:#x} efer {:#x}\n  idtr {:#x}:{:#x} gdtr {:#x}:{:#x}",
      state.cr0, state.cr2, state.cr3, state.cr4, state.efer, state.idtr.base, state.idtr.limit,
      state.gdtr.base, state.gdtr.limit);
  constexpr unsigned shown = 12;
  if (const std::string last = cpu::last_instructions(core, shown); !last.empty()) {
    registers_ += "\nThe last instructions, the one that faulted at the end:\n" + last;
    registers_.pop_back();
  }
}

}  // namespace softsnp::cli
