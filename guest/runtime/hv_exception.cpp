#include "guest/runtime/hv_exception.hpp"

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/x86/msr.hpp"

namespace softsnp::guest {

void HvEvents::process() {
  const HvDoorbell::Flags flags = doorbell_.take_flags();
  if (flags.machine_check) {
    handlers_.machine_check();
  }
  if (flags.nmi) {
    handlers_.nmi();
  }
  while (const u8 vector = doorbell_.take_vector(priority_)) {
    handlers_.interrupt(vector);
    if (const auto ended = doorbell_.end_of_interrupt(); !ended) {
      handlers_.fatal(ended.error());
    }
  }
}

// STI comes before the look: whatever arrives after it finds IF = 1 and is handled by itself.
void HvEvents::settle() {
  processor_.enable_interrupts();
  while (doorbell_.pending(priority_)) {
    (void)processor_.disable_interrupts();
    process();
    processor_.enable_interrupts();
  }
}

void HvEvents::arrived(u64& rip, bool were_on) {
  for (const HvWindow& window : {code_.halt_window, code_.switch_window}) {
    rip = window.has(rip) ? window.end : rip;
  }
  if (!were_on) {
    if (doorbell_.take_nmi()) {
      handlers_.nmi();
    }
    return;
  }
  process();
  settle();
}

void HvEvents::wait() {
  if (!doorbell_.pending(priority_)) {
    code_.halt(doorbell_.flags());
  }
  if (doorbell_.pending(priority_)) {
    process();
  }
}

// The request goes by MSR, as #HV's handler may need the GHCB in between.
Handled<void> HvEvents::run_vmpl(Vmpl vmpl) {
  do {
    while (doorbell_.pending(priority_)) {
      process();
    }
  } while (code_.run_vmpl(doorbell_.flags(), number(vmpl)) == 0);
  const u64 answer = processor_.read_msr(x86::msr::ghcb);
  if (doorbell_.pending(priority_)) {
    process();
  }
  return answer == ghcb::run_vmpl_response(0) ? Handled<void>() : trouble(Cause::host_error);
}

void HvEvents::set_priority(u8 priority) {
  const bool were_on = processor_.disable_interrupts();
  priority_ = priority;
  if (were_on) {
    settle();
  }
}

}  // namespace softsnp::guest
