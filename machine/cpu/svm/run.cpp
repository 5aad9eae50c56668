// What a running guest meets between blocks. APM2 15.21, 13.1; hardware sheet 8.3.
#include "machine/cpu/svm/svm.hpp"

namespace softsnp::cpu {

Run Svm::after(Outcome outcome) {
  if (outcome == Outcome::done) {
    return Run::in_guest;
  }
  vmexit();
  return Run::exited;
}

bool Svm::interrupt_ready() const {
  const CoreState& s = core_.state;
  return system_.controls().virtual_interrupt_waits() && (s.system_flags & x86::rflags::if_) != 0 &&
         !s.interrupt_shadow;
}

Run Svm::before_block() {
  CoreState& s = core_.state;
  core_.event_pending = false;
  if (system_.controls().virtual_interrupt_waits()) [[unlikely]] {
    if (!interrupt_ready()) {
      core_.event_pending = true;
    } else if (system_.intercepts(svm::ExitCode::vintr)) {
      system_.leave_between(svm::ExitCode::vintr);
      return after(Outcome::vmexit);
    } else {
      Controls& c = system_.controls();
      c.vintr &= ~svm::vintr::v_irq;
      Event event;
      event.kind = EventKind::interrupt;
      event.vector = static_cast<u8>(get_bits(c.vintr, 39, 32));
      event.return_rip = s.rip;
      if (after(system_.inject(event)) == Run::exited) {
        return Run::exited;
      }
    }
  }
  u64 dr6 = 0;
  if (system_.stepping() && system_.breakpoint_hit(dr6)) [[unlikely]] {
    return after(system_.breakpoint_fault(dr6));
  }
  return Run::in_guest;
}

Run Svm::on_system() {
  const OpInfo& info = core_.block->info[core_.stop_op - core_.block->ops];
  const Run run = after(system_.execute(*core_.stop_op, info));
  if (run == Run::exited || core_.state.activity != Activity::halted) {
    return run;
  }
  // HLT that nobody intercepts waits for an interrupt: the guest's own if one is there, else the
  // host's.
  core_.state.activity = Activity::running;
  return interrupt_ready() ? Run::in_guest : on_budget();
}

Run Svm::on_fault() {
  const OpInfo& info = core_.block->info[core_.stop_op - core_.block->ops];
  return after(system_.deliver(core_.fault, &info));
}

Run Svm::on_fetch_fault() {
  return after(system_.deliver(core_.fault, nullptr));
}

Run Svm::on_budget() {
  system_.leave_between(svm::ExitCode::intr);
  return after(Outcome::vmexit);
}

bool Svm::must_single_step() const {
  return (core_.state.interrupt_shadow && core_.event_pending) || system_.stepping();
}

Run Svm::single_stepped() {
  CoreState& s = core_.state;
  s.interrupt_shadow = false;
  s.system_flags &= ~x86::rflags::rf;
  if ((s.system_flags & x86::rflags::tf) == 0) {
    return Run::in_guest;
  }
  return after(system_.single_step_trap());
}

}  // namespace softsnp::cpu
