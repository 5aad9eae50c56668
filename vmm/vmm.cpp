#include "vmm/vmm.hpp"

#include <fmt/format.h>

#include "vmm/explain.hpp"

namespace softsnp::vmm {
namespace {

// So many exits without a tick of virtual time between them are no guest's doing: each costs it at
// least an instruction.
constexpr u32 most_exits_at_once = 1'000'000;
constexpr std::chrono::milliseconds idle_wait{50};

}  // namespace

Vmm::Vmm(LaunchedVm launched, std::vector<image::RamRange> ram, const Config& config)
    : config_(config),
      launched_(std::move(launched)),
      vcpu_(*launched_.vcpu),
      clock_(*launched_.vm),
      messages_(*launched_.vm),
      board_({config.debug_exit_port, config.rtc_epoch_seconds}, clock_, messages_, output_),
      handler_(*launched_.vm, vcpu_, board_, std::move(ram), config_.certificates),
      watchdog_(config.timeout) {}

RunOutcome Vmm::run(Console& console, StopSource& stop) {
  for (;;) {
    const End ended = run_slice();
    flush(console);
    if (ended) {
      return *ended;
    }
    if (const End left = between_slices(console, stop)) {
      return *left;
    }
  }
}

void Vmm::flush(Console& console) {
  if (!output_.bytes.empty()) {
    console.write(output_.bytes);
    output_.bytes.clear();
  }
}

void Vmm::perform_due_events() {
  const u64 due = board_.next_event();
  if (due != 0 && clock_.now() >= due) {
    board_.advance();
  }
  const u64 next = board_.next_event();
  launched_.vm->set_next_device_event(next == 0 ? 0 : clock_.to_tsc(next));
}

// The 8259's INTR at LINT0: a vector is acknowledged only when the vCPU takes it at once, because
// the 8259 then counts it as in service.
void Vmm::offer_extint() {
  if (board_.pic().interrupt_pending() && vcpu_.ready_for_extint()) {
    vcpu_.queue_extint(board_.pic().acknowledge());
  }
  const bool wanted = board_.pic().interrupt_pending();
  if (wanted != extint_wanted_) {
    extint_wanted_ = wanted;
    vcpu_.request_extint_window(wanted);
  }
}

Vmm::End Vmm::stuck_without_time() {
  const u64 now = clock_.now();
  if (now != last_exit_time_) {
    last_exit_time_ = now;
    exits_at_that_time_ = 0;
  }
  if (++exits_at_that_time_ < most_exits_at_once) {
    return std::nullopt;
  }
  return outcome(
      OutcomeKind::internal_fault,
      fmt::format("{} exits of the vCPU without virtual time passing", most_exits_at_once));
}

Vmm::End Vmm::run_slice() {
  const u64 end = launched_.vm->now() + config_.slice_ticks;
  while (launched_.vm->now() < end) {
    perform_due_events();
    offer_extint();
    const kvm::KvmExit exit = vcpu_.run(end);
    if (End ended = std::visit(handler_, exit)) {
      return ended;
    }
    if (End stuck = stuck_without_time()) {
      return stuck;
    }
    if (std::holds_alternative<kvm::InterruptedExit>(exit) && nothing_can_wake()) {
      break;
    }
  }
  return std::nullopt;
}

bool Vmm::nothing_can_wake() const {
  return vcpu_.halted() && board_.next_event() == 0;
}

RunOutcome Vmm::time_out() const {
  const double seconds = std::chrono::duration<double>(*config_.timeout).count();
  const double virtual_seconds =
      static_cast<double>(clock_.now()) / static_cast<double>(clock_.frequency_hz());
  return outcome(
      OutcomeKind::timed_out,
      fmt::format("time-out after {:g} s ({:.3f} s of the guest's time); {}\n  {}", seconds,
                  virtual_seconds, vcpu_.halted() ? "the guest is halted" : "the guest is running",
                  register_text(vcpu_.state())));
}

Vmm::End Vmm::take_input(Console& console) {
  const bool idle = nothing_can_wake();
  const auto pace = pacing_.wait(clock_.now(), clock_.frequency_hz());
  if (feed_.empty() && !console.ended()) {
    const bool wait_for_input = idle && !console.interactive();
    const auto wait = console.interactive() ? pace : wait_for_input ? idle_wait : idle_wait * 0;
    if (wait_for_input && !idle_noted_) {
      idle_noted_ = true;
      console.notice("the guest is halted and only input on the console can wake it; waiting");
    }
    const ConsoleInput input = console.poll(wait);
    if (input.quit) {
      return outcome(OutcomeKind::quit, "left by Ctrl-A X");
    }
    feed_.add(input.bytes);
  }
  const usize fed = feed_.feed(board_, console.interactive());
  if (idle && fed == 0 && (console.ended() || !feed_.empty())) {
    return outcome(OutcomeKind::no_progress,
                   "the guest makes no progress: it is halted, interrupts are enabled, but no "
                   "timer, device or input can wake it");
  }
  return std::nullopt;
}

Vmm::End Vmm::between_slices(Console& console, StopSource& stop) {
  if (const auto number = stop.stop_requested()) {
    RunOutcome end =
        outcome(OutcomeKind::interrupted, fmt::format("stopped by signal {}", *number));
    end.status = 128 + *number;
    return end;
  }
  if (watchdog_.expired()) {
    return time_out();
  }
  return take_input(console);
}

}  // namespace softsnp::vmm
