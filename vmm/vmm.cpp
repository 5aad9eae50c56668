#include "vmm/vmm.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "vmm/explain.hpp"

namespace softsnp::vmm {
namespace {

// So many exits without a tick of virtual time between them are no guest's doing: each costs it at
// least an instruction.
constexpr u32 most_exits_at_once = 1'000'000;
constexpr std::chrono::milliseconds idle_wait{50};

using VcpuNames = ExitHandler::VcpuNames;

// Nothing of its own can wake it: a halted one without a timer, one that waits to be started.
bool sleeps(const kvm::Vcpu* vcpu) {
  const kvm::MpState state = vcpu->mp_state();
  return state == kvm::MpState::halted ? vcpu->halted() : state != kvm::MpState::runnable;
}

}  // namespace

Vmm::Vmm(LaunchedVm launched, std::vector<image::RamRange> ram, const Config& config)
    : config_(config),
      launched_(std::move(launched)),
      boot_vcpu_(*launched_.vcpus.front()),
      clock_(*launched_.vm),
      messages_(*launched_.vm),
      board_({config.debug_exit_port, config.rtc_epoch_seconds}, clock_, messages_, output_),
      handler_(*launched_.vm, board_, std::move(ram), config_.certificates),
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
  if (board_.pic().interrupt_pending() && boot_vcpu_.ready_for_extint()) {
    boot_vcpu_.queue_extint(board_.pic().acknowledge());
  }
  const bool wanted = board_.pic().interrupt_pending();
  if (wanted != extint_wanted_) {
    extint_wanted_ = wanted;
    boot_vcpu_.request_extint_window(wanted);
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
      fmt::format("{} exits of the guest without virtual time passing", most_exits_at_once));
}

Vmm::End Vmm::run_slice() {
  const u64 end = launched_.vm->now() + config_.slice_ticks;
  while (launched_.vm->now() < end) {
    perform_due_events();
    offer_extint();
    const kvm::VmExit exit = launched_.vm->run(end);
    if (End ended = handler_.answer(
            exit, launched_.vcpus.size() > 1 ? VcpuNames::shown : VcpuNames::hidden)) {
      return ended;
    }
    if (End stuck = stuck_without_time()) {
      return stuck;
    }
    if (std::holds_alternative<kvm::InterruptedExit>(exit.exit) && nothing_can_wake()) {
      break;
    }
  }
  return std::nullopt;
}

bool Vmm::nothing_can_wake() const {
  return board_.next_event() == 0 &&
         std::all_of(launched_.vcpus.begin(), launched_.vcpus.end(), sleeps);
}

// One vCPU: its registers. Several: a paragraph for each that runs, the others counted.
std::string Vmm::describe_vcpus() const {
  if (launched_.vcpus.size() == 1) {
    return (sleeps(&boot_vcpu_) ? "the guest is halted\n  " : "the guest is running\n  ") +
           register_text(boot_vcpu_.state());
  }
  std::string running;
  usize waiting = 0;
  for (const kvm::Vcpu* vcpu : launched_.vcpus) {
    if (vcpu->mp_state() == kvm::MpState::runnable) {
      running += fmt::format("\n  vCPU {}: {}", vcpu->index(), register_text(vcpu->state()));
    } else {
      ++waiting;
    }
  }
  return fmt::format("{} of {} vCPUs wait{}", waiting, launched_.vcpus.size(), running);
}

RunOutcome Vmm::time_out() const {
  const double seconds = std::chrono::duration<double>(*config_.timeout).count();
  const double virtual_seconds =
      static_cast<double>(clock_.now()) / static_cast<double>(clock_.frequency_hz());
  return outcome(OutcomeKind::timed_out,
                 fmt::format("time-out after {:g} s ({:.3f} s of the guest's time); {}", seconds,
                             virtual_seconds, describe_vcpus()));
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
