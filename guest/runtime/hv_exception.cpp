#include "guest/runtime/hv_exception.hpp"

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
  if (rip >= idle_.begin && rip <= idle_.hlt) {
    rip = idle_.end;
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
    idle_.run(doorbell_.flags());
  }
  if (doorbell_.pending(priority_)) {
    process();
  }
}

void HvEvents::set_priority(u8 priority) {
  const bool were_on = processor_.disable_interrupts();
  priority_ = priority;
  if (were_on) {
    settle();
  }
}

}  // namespace softsnp::guest
