// #HV and what follows from it. RFLAGS.IF does not hold #HV back, so that the runtime has to honour
// it by itself: an event that meets IF = 0 stays in the doorbell page, and whoever sets IF again
// looks there. That is everybody who returns to code with IF = 1, too. GHCB sheet 4.4.
#pragma once

#include "guest/runtime/hv_doorbell.hpp"

namespace softsnp::guest {

// What the guest does on events. Called with interrupts off; nmi also while they were off.
class HvHandlers {
 public:
  virtual void interrupt(u8 vector) = 0;
  virtual void nmi() = 0;
  // The end of the guest: machine checks cannot be survived, nor can a host that breaks the
  // protocol.
  virtual void machine_check() = 0;
  virtual void fatal(const Trouble& trouble) = 0;

 protected:
  ~HvHandlers() = default;
};

// Code that no #HV can slip in front of: from begin, where the decision to go on is made, to last,
// the instruction that leaves, an arriving #HV sends the vCPU to end.
struct HvWindow {
  u64 begin = 0, last = 0, end = 0;
  bool has(u64 rip) const { return rip >= begin && rip <= last; }
};
struct HvCode {
  HvWindow halt_window, switch_window;
  void (*halt)(const volatile u8* flags) = nullptr;
  // 0: an #HV came first, nothing was asked for.
  u32 (*run_vmpl)(const volatile u8* flags, u32 vmpl) = nullptr;
};
// The processor's (hv_code.cpp).
HvCode hv_code();

class HvEvents {
 public:
  HvEvents(Processor& processor, HvDoorbell& doorbell, HvHandlers& handlers, const HvCode& code)
      : processor_(processor), doorbell_(doorbell), handlers_(handlers), code_(code) {}

  // #HV arrived at rip; were_on: RFLAGS.IF there. Interrupts are off. If they were on, they are on
  // when this returns, and nothing is left behind: the caller restores registers and returns to
  // rip.
  void arrived(u64& rip, bool were_on);
  // The end of any other exception's handler that is about to return to code with IF = 1.
  void before_return() { settle(); }
  // STI that looks behind itself.
  void enable_interrupts() { settle(); }
  // Interrupts are off. Waits until something was handled; they are off again then. The caller
  // looks at what it waits for and comes back if need be.
  void wait();
  // VMPL0, interrupts off: the VMPL runs until it asks for VMPL0, or the host brings VMPL0 back
  // because something has come. What has come before is handled first.
  Handled<void> run_vmpl(Vmpl vmpl);

  // Vectors of this priority and below wait. Of the guest alone: the host can read CR8 and write
  // it.
  u8 priority() const { return priority_; }
  void set_priority(u8 priority);

 private:
  void settle();
  void process();

  Processor& processor_;
  HvDoorbell& doorbell_;
  HvHandlers& handlers_;
  HvCode code_;
  u8 priority_ = 0;
};

}  // namespace softsnp::guest
