// What the executor leaves to others: privileged instructions, segmentation, interrupts and
// exceptions, and the intercepts that a guest meets on the way. One a core.
#pragma once

#include "machine/cpu/exec/core.hpp"
#include "machine/cpu/exec/system_op.hpp"
#include "machine/cpu/mmu/mmu.hpp"
#include "machine/cpu/system/controls.hpp"
#include "machine/cpu/system/event.hpp"
#include "machine/cpu/system/events.hpp"
#include "machine/cpu/system/platform.hpp"

namespace softsnp::cpu {

// done: the core goes on at state.rip. vmexit: the guest must be left, see System::exit().
enum class Outcome : u8 { done, vmexit };

// How an instruction's handler ended.
enum class Step : u8 {
  next,    // complete: RIP moves behind it
  jumped,  // complete: the handler has set RIP
  taken,   // complete: the event it raised has been delivered
  again,   // part of a string instruction is done; RIP stays
  fault,   // System::fault() has what happened; nothing else did
  vmexit,  // System::exit() is set
};

// Why the guest is left (hardware sheet 8.4). rip and the rest of the state are as they are to be
// saved.
struct Exit {
  svm::ExitCode code = svm::ExitCode::invalid;
  u64 info1 = 0, info2 = 0;
  u64 intinfo = 0;  // event that was being delivered
  u64 nrip = 0;     // next RIP for instruction intercepts
  u8 byte_count = 0;
  u8 bytes[15] = {};
  // ReflectVC (hardware sheet 7.3): the #VC's original event, for the VMSA's GUEST_* fields.
  bool reflected = false;
  u64 original_code = 0, original_info1 = 0, original_info2 = 0;
};

// MSRs of one core that no VMCB or VMSA holds.
struct CoreMsrs {
  u64 vm_hsave_pa = 0, vm_cr = 0;
  u64 apic_base = 0xFEE00900;
  u64 tsc_offset = 0;  // by writes to TSC
  u64 tsc_ratio = u64{1} << 32;
  u64 mcg_status = 0;
};

class System {
 public:
  // The core starts as a 64-bit host kernel has it after boot, SVM not yet enabled.
  System(Core& core, Mmu& mmu, Platform& platform, Observer* observer);

  // The instruction at state.rip that the executor stopped at (Stop::system). Faults and #DB traps
  // it causes are delivered.
  Outcome execute(const Op& op, const OpInfo& info);
  // What the executor or a handler met (Stop::fault): exception, nested fault or 404h. info: the
  // instruction, null if it could not be fetched.
  Outcome deliver(const Fault& fault, const OpInfo* info = nullptr);
  // An event between instructions: virtual interrupt, EVENTINJ, single-step trap. Not subject to
  // intercepts itself; what goes wrong on the way is.
  Outcome inject(const Event& event);

  // #DB behind an instruction that began with RFLAGS.TF set.
  Outcome single_step_trap();
  // #DB in front of the instruction whose address breakpoints matched.
  Outcome breakpoint_fault(u64 dr6_bits);

  // RDMSR / WRMSR by the host port or a guest; false: #GP(0).
  bool read_msr(u32 number, u64& value);
  bool write_msr(u32 number, u64 value);

  // The guest must be left between two instructions.
  void leave_between(svm::ExitCode code) { set_exit(code, 0, 0, 0); }

  // After a change of CPL, CS, CR0, CR4, EFER, RFLAGS.AC/VM, a segment base or the guest context.
  void mode_changed();
  // RFLAGS.TF or an armed instruction breakpoint: one instruction at a time.
  bool stepping() const;
  // An instruction breakpoint matches the linear address of the next instruction, RF clear.
  bool breakpoint_hit(u64& dr6_bits) const;

  Core& core() { return core_; }
  CoreState& state() { return core_.state; }
  const CoreState& state() const { return core_.state; }
  Mmu& mmu() { return mmu_; }
  Platform& platform() { return platform_; }
  Observer* observer() { return observer_; }
  // What an instruction of the guest drops; linear: of TlbFlush::page.
  void flush_tlb(TlbFlush kind, u64 linear = 0);
  Controls& controls() { return controls_; }
  const Controls& controls() const { return controls_; }
  CoreMsrs& msrs() { return msrs_; }
  const Exit& exit() const { return exit_; }
  const FaultChain& fault_chain() const { return chain_; }
  const LastRefusal& last_refusal() const { return refusal_; }
  void set_refusal(const LastRefusal& refusal) { refusal_ = refusal; }

  // For handlers. RIP after the instruction being executed.
  u64 next_rip() const { return next_rip_; }
  Step raise(x86::Vector vector);
  Step raise(x86::Vector vector, u32 error);
  Step raise_gp() { return raise(x86::Vector::gp, 0); }
  Step raise_ud() { return raise(x86::Vector::ud); }
  // As raise(), for helpers that answer false when core.fault is set.
  bool fail(x86::Vector vector, u32 error);
  // The VMCB asks for this exit; CPUID and IOIO always in SEV-ES guests (hardware sheet 7.1).
  bool intercepts(svm::ExitCode code) const;
  // Leaves the guest; nRIP is the next instruction.
  Step leave(svm::ExitCode code, u64 info1 = 0, u64 info2 = 0);
  // #VC with a code, or what ReflectVC makes of it (hardware sheet 7.2, 7.3).
  Step raise_vc(svm::ExitCode code, u64 info1 = 0, u64 info2 = 0);
  // The event happened and its intercept bit is set: #VMEXIT or #VC by class (hardware sheet 7.1).
  Step intercept(svm::ExitCode code, u64 info1 = 0, u64 info2 = 0);
  // INT n, INT3, INTO, INT1: takes the event, its exception intercept first.
  Step deliver_software(const Event& event);
  u64 guest_tsc();

 private:
  // One attempt to take event through the IDT; false: core.fault is set.
  bool transfer(const Event& event);
  Outcome take(Event event);
  // What fault becomes: an event to deliver, or an exit (false).
  bool classify(const Fault& fault, u64 intinfo, Event& out);
  bool event_from_exception(const Event& raw, u64 info1, u64 info2, u64 intinfo, Event& out);
  bool event_vc(svm::ExitCode code, u64 info1, u64 info2, u64 intinfo, Event& out);
  Outcome shut_down();
  void set_host_state();
  void set_exit(svm::ExitCode code, u64 info1, u64 info2, u64 intinfo);
  Outcome finish(Step step, const OpInfo& info, bool trap_flag);
  void note(const Event& event);

  Core& core_;
  Mmu& mmu_;
  Platform& platform_;
  Observer* observer_;
  Controls controls_;
  CoreMsrs msrs_;
  Exit exit_;
  u64 next_rip_ = 0;
  FaultChain chain_;
  LastRefusal refusal_;
};

}  // namespace softsnp::cpu
