// INT n, INT3, INTO, INT1. APM2 8.1.3, 15.9, 15.12.
#include "machine/cpu/system/handlers.hpp"

namespace softsnp::cpu {

Step System::deliver_software(const Event& event) {
  Event taken = event;
  if (event.kind != EventKind::software_interrupt && !event_from_exception(event, 0, 0, 0, taken)) {
    exit_.nrip = next_rip_;
    return Step::vmexit;
  }
  return take(taken) == Outcome::done ? Step::taken : Step::vmexit;
}

namespace handlers {

Step software_interrupt(System& system, const Instruction& in) {
  const CoreState& s = system.state();
  Event event;
  event.return_rip = system.next_rip();
  event.kind = EventKind::software_exception;
  if (in.id == SystemOp::into) {
    if (!s.flags.of()) {
      return Step::next;
    }
    event.vector = static_cast<u8>(x86::Vector::of);
  } else if (in.id == SystemOp::int3) {
    event.vector = static_cast<u8>(x86::Vector::bp);
  } else {
    event.kind = EventKind::software_interrupt;
    event.vector = static_cast<u8>(in.op.imm);
    if (s.v8086() && get_bits(s.system_flags, 13, 12) != 3) {
      return system.raise_gp();
    }
    if (system.intercepts(svm::ExitCode::intn)) {
      return system.intercept(svm::ExitCode::intn, event.vector);
    }
  }
  return system.deliver_software(event);
}

Step int1(System& system, const Instruction&) {
  if (system.intercepts(svm::ExitCode::icebp)) {
    return system.intercept(svm::ExitCode::icebp);
  }
  Event event;
  event.kind = EventKind::trap;
  event.vector = static_cast<u8>(x86::Vector::db);
  event.return_rip = system.next_rip();
  return system.deliver_software(event);
}

}  // namespace handlers
}  // namespace softsnp::cpu
