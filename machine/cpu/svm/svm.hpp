// VMRUN and #VMEXIT, and what a running guest meets between two blocks. Hardware sheet 6-9
// (APM2 15.5, 15.20, 15.21, 15.34-15.36). One a core.
//
// The core loop:
//   if (auto r = svm.vmrun(vmcb); !r) -> #GP / #UD to the host
//   while (svm.in_guest()) {
//     mmu.catch_up(core);
//     if (svm.before_block() == Run::exited) break;
//     // svm.must_single_step(): one instruction, nothing chains
//     ... find or build the block, run(core, block) ...
//     switch (core.stop) {
//       case Stop::system: svm.on_system(); break;
//       case Stop::fault:  svm.on_fault(); break;  // Mmu::fetch() failed: on_fetch_fault()
//       case Stop::budget: if it is the real budget: svm.on_budget(); break;
//       default: break;  // need_block, event: before_block() looks at it
//     }
//     if it was a single step and the instruction completed in the executor: svm.single_stepped();
//   }
#pragma once

#include "base/result.hpp"
#include "machine/cpu/svm/guest_image.hpp"
#include "machine/cpu/system/system.hpp"

namespace softsnp::cpu {

enum class Run : u8 { in_guest, exited };

class Svm {
 public:
  explicit Svm(System& system)
      : system_(system), core_(system.core()), mmu_(system.mmu()), observer_(system.observer()) {}

  // Host instructions; the failure is the exception they raise (#UD, #GP). VMRUN that succeeds has
  // entered the guest (in_guest()) or ended at once: the exit code is in the VMCB.
  Result<void, x86::Vector> vmrun(SystemPhysical vmcb);
  Result<void, x86::Vector> vmload(SystemPhysical vmcb);
  Result<void, x86::Vector> vmsave(SystemPhysical vmcb);

  bool in_guest() const { return system_.controls().guest; }

  // Pending virtual interrupts, interrupt windows, instruction breakpoints.
  Run before_block();
  Run on_system();  // core.stop_op at state.rip
  Run on_fault();   // core.fault at state.rip, of core.stop_op
  // Mmu::fetch() could not give the instruction at state.rip: core.fault.
  Run on_fetch_fault();
  // A physical interrupt has arrived: INTR exit. With INTR not intercepted, or masked by a guest
  // that the host runs without V_INTR_MASKING, real hardware would interrupt the guest or wait;
  // here the host gets its core back in any case.
  Run on_budget();
  // The next instruction must be run alone: TF, breakpoints, an interrupt shadow with an event
  // waiting behind it.
  bool must_single_step() const;
  // That instruction completed in the executor.
  Run single_stepped();

  System& system() { return system_; }

 private:
  Result<void, x86::Vector> check_instruction(SystemPhysical at) const;
  void refuse(const Refusal& refusal);
  void save_host();
  void restore_host(bool with_type_b);
  void enter(const GuestImage& image);
  void set_controls(const GuestImage& image);
  void set_context(const GuestImage& image);
  void flush_as_asked(const GuestImage& image);
  void use_pages(bool begin);
  Run inject_at_entry(u64 eventinj);
  void vmexit();
  void write_exit_fields(svm::Vmcb& vmcb);
  Run after(Outcome outcome);
  bool interrupt_ready() const;

  System& system_;
  Core& core_;
  Mmu& mmu_;
  Observer* observer_;
  GuestImage image_;  // of the guest that runs, or ran last
  u64 host_pat_ = 0;  // the host's PAT while G_PAT is in its place
  bool marked_ = false;
  // Whose translations the TLB holds.
  struct TlbOwner {
    u32 asid = 0;
    u64 state_page = 0, ncr3 = 0, cr3 = 0;
    friend bool operator==(const TlbOwner&, const TlbOwner&) = default;
  };
  TlbOwner tlb_owner_;
};

}  // namespace softsnp::cpu
