// The sample guest's round trips between guest, machine, hypervisor and VMM, all in this process.
#include <benchmark/benchmark.h>

#include <ctime>

#include "guest/samples/guest_cases.hpp"
#include "guest/svsm_guest/cases.hpp"
#include "machine/port/wrapped_port.hpp"
#include "tests/end_to_end/guest_run.hpp"

namespace softsnp::bench {
namespace {

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Times {
  double first_entry = 0;
  u64 entries = 0;
};

class Watched final : public machine::WrappedPort {
 public:
  Watched(machine::HostPort& inner, Times& times) : WrappedPort(inner), times_(times) {}
  Result<void, machine::HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                             u64 max_instructions) override {
    if (times_.entries++ == 0) {
      times_.first_entry = thread_seconds();
    }
    return inner_.vmrun(core, vmcb, max_instructions);
  }

 private:
  Times& times_;
};

struct Measured {
  u64 instructions = 0;
  bool good = false;
  double launch = 0;  // seconds to the first VMRUN
  double run = 0;     // from there to the end
  u64 entries = 0;
};

Measured run_guest(end_to_end::GuestOptions options, vmm::OutcomeKind expected) {
  Times times;
  options.unobserved = true;
  options.host = [&](machine::HostPort& port) { return std::make_unique<Watched>(port, times); };
  const double start = thread_seconds();
  end_to_end::GuestRun guest(std::move(options));
  const bool good = guest.run().kind == expected;
  return {guest.machine().core(0).retired(), good, times.first_entry - start,
          thread_seconds() - times.first_entry, times.entries};
}

Measured run_case(const char* name, u64 memory, vmm::OutcomeKind expected) {
  end_to_end::GuestOptions options = end_to_end::sample_case(name);
  options.memory = memory;
  return run_guest(std::move(options), expected);
}

constexpr u64 small = u64{32} << 20;

// A guest that starts, says so and leaves.
Measured run_nothing(u64 memory) {
  return run_case("exit-code", memory, vmm::OutcomeKind::debug_exit);
}

// per_round: operations a round of the case makes.
void guest_case(benchmark::State& state, const char* name, u64 rounds, u64 per_round) {
  const Measured nothing = run_nothing(small);
  u64 entries = 0;
  for (auto _ : state) {
    const Measured run = run_case(name, small, vmm::OutcomeKind::powered_off);
    if (!nothing.good || !run.good) {
      state.SkipWithError("the guest did not end as expected");
      return;
    }
    state.SetIterationTime(run.run > nothing.run ? run.run - nothing.run : 0);
    entries += run.entries - nothing.entries;
  }
  const double operations =
      static_cast<double>(rounds * per_round) * static_cast<double>(state.iterations());
  using benchmark::Counter;
  state.counters["operations"] = Counter(operations, Counter::kIsRate);
  state.counters["each"] = Counter(operations, Counter::kIsRate | Counter::kInvert);
  state.counters["entries_each"] = static_cast<double>(entries) / operations;
}

// Calls of a guest at VMPL2: there, through the SVSM's handler, and back.
void svsm_case(benchmark::State& state, const char* name, u64 calls) {
  const auto run = [](const char* what) {
    end_to_end::GuestOptions options = end_to_end::svsm_case(what);
    options.vcpus = 1;
    return run_guest(std::move(options), vmm::OutcomeKind::powered_off);
  };
  const Measured nothing = run("nothing");
  u64 instructions = 0;
  for (auto _ : state) {
    const Measured all = run(name);
    if (!nothing.good || !all.good) {
      state.SkipWithError("the guest did not end as expected");
      return;
    }
    state.SetIterationTime(all.run > nothing.run ? all.run - nothing.run : 0);
    instructions += all.instructions - nothing.instructions;
  }
  const double operations = static_cast<double>(calls) * static_cast<double>(state.iterations());
  using benchmark::Counter;
  state.counters["each"] = Counter(operations, Counter::kIsRate | Counter::kInvert);
  state.counters["instructions_each"] = static_cast<double>(instructions) / operations;
}

#define CASE(name, text, ...)                            \
  BENCHMARK_CAPTURE(guest_case, name, text, __VA_ARGS__) \
      ->UseManualTime()                                  \
      ->Unit(benchmark::kMillisecond)
// A #VC that the guest answers itself; then one that asks the hypervisor and the VMM.
CASE(vc_without_exit, "vc-without-exit-rate", guest::rounds::vc_without_exit, 1);
CASE(vc_port_read, "vc-rate", guest::rounds::vc, 1);
CASE(vmgexit_msr_protocol, "vmgexit-rate", guest::rounds::vmgexit, 1);
// Each round goes to shared and back to private, with PVALIDATE.
CASE(page_state_4k, "page-state-rate", guest::rounds::page_state, 2);
CASE(page_state_2m, "page-state-rate-2m", guest::rounds::page_state_2m, 2);

#define SVSM_CASE(name, text, calls) \
  BENCHMARK_CAPTURE(svsm_case, name, text, calls)->UseManualTime()->Unit(benchmark::kMillisecond)
// A call that does nothing; then one 4 KiB page rescinded or validated, zeroed and granted.
SVSM_CASE(call, "call-rate", guest::svsm_rounds::calls);
SVSM_CASE(pvalidate_4k, "validation-rate", 2 * guest::svsm_rounds::validations);

// Machine, launch of a guest with so many MiB, all of it validated: up to the first VMRUN.
void guest_launch(benchmark::State& state) {
  const u64 memory = static_cast<u64>(state.range(0)) << 20;
  for (auto _ : state) {
    const Measured run = run_nothing(memory);
    if (!run.good) {
      state.SkipWithError("the guest did not end as expected");
      return;
    }
    state.SetIterationTime(run.launch);
  }
  using benchmark::Counter;
  state.counters["pages"] =
      Counter(static_cast<double>(memory >> page_shift) * static_cast<double>(state.iterations()),
              Counter::kIsRate);
}
BENCHMARK(guest_launch)
    ->ArgName("MiB")
    ->Arg(32)
    ->Arg(512)
    ->Arg(4096)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace softsnp::bench
