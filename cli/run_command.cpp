#include "cli/run_command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "cli/guest_files.hpp"
#include "cli/observation.hpp"
#include "cli/sizing.hpp"
#include "image/image.hpp"
#include "machine/machine.hpp"
#include "vmm/cpuid_table.hpp"
#include "vmm/guest_cpuid.hpp"
#include "vmm/pipe_console.hpp"
#include "vmm/terminal_console.hpp"
#include "vmm/vmm.hpp"

namespace softsnp::cli {
namespace {

using vmm::OutcomeKind;
using vmm::RunOutcome;
using HostClock = std::chrono::steady_clock;

Failure<RunOutcome> bad_input(std::string text) {
  return Failure{vmm::outcome(OutcomeKind::bad_input, std::move(text))};
}

image::Inputs plan_inputs(const RunOptions& options, const GuestFiles& files, const kvm::Kvm& kvm) {
  image::Inputs inputs = guest_inputs(options, files);
  inputs.mode = options.mode;
  inputs.vcpu_count = options.vcpus;
  inputs.injection = options.injection;
  if (options.mode == image::Mode::snp) {
    const auto supported = vmm::guest_cpuid(kvm, kvm::VmType::snp, options.vcpus);
    inputs.c_bit = vmm::c_bit(supported);
    inputs.cpuid = vmm::cpuid_page_entries(supported);
  }
  return inputs;
}

// As QEMU has it: SMT and the reserved bit for SNP; no debugging, and ES where wanted, for the
// others (firmware sheet 1.7, 7.2).
u64 default_policy(image::Mode mode) {
  switch (mode) {
    case image::Mode::sev:
      return 0x1;
    case image::Mode::sev_es:
      return 0x5;
    case image::Mode::snp:
    case image::Mode::plain:
      break;
  }
  return 0x30000;
}

const char* guest_kind(image::Mode mode) {
  switch (mode) {
    case image::Mode::plain:
      return "plain";
    case image::Mode::sev:
      return "SEV";
    case image::Mode::sev_es:
      return "SEV-ES";
    case image::Mode::snp:
      break;
  }
  return "SEV-SNP";
}

vmm::Config vmm_config(const RunOptions& options, const RunPlatform& platform) {
  vmm::Config config;
  config.finish = platform.finish;
  config.certificates = platform.certificate_table;
  config.mode = options.mode;
  config.policy = options.policy.value_or(default_policy(options.mode));
  config.debug_exit_port = options.debug_exit_port;
  config.timeout = options.timeout;
  config.guest_requests_per_second = options.guest_requests_per_second;
  return config;
}

void say(std::string_view text) {
  fmt::print(stderr, "softsnp: {}\n", text);
}

class Run {
 public:
  explicit Run(const RunOptions& options) : options_(options) {}

  RunOutcome perform() {
    if (const auto opened = observation_.open(options_); !opened) {
      return vmm::outcome(OutcomeKind::bad_input, opened.error());
    }
    if (auto prepared = prepare(); !prepared) {
      return prepared.error();
    }
    RunOutcome end = run_guest();
    vmm_.reset();  // the VM's end belongs into the trace
    times_.total = HostClock::now() - start_;
    report_leaks();
    if (const auto finished = observation_.finish(*machine_, kvm_->direct_map(), times_);
        !finished) {
      say(finished.error());
    }
    return end;
  }
  std::string explanations() const { return observation_.explanations(); }
  std::string conversions() const { return observation_.conversions(); }

 private:
  Result<void, RunOutcome> prepare();
  void report_leaks() const;
  void report_launch(const vmm::LaunchedVm& launched) const;
  RunOutcome run_guest();

  RunOptions options_;
  HostClock::time_point start_ = HostClock::now();
  HostTimes times_;
  Observation observation_;  // outlives what it watches
  std::unique_ptr<machine::Machine> machine_;
  std::optional<observe::TimedPort> timed_port_;
  std::unique_ptr<kvm::Kvm> kvm_;
  std::unique_ptr<vmm::Vmm> vmm_;
};

Result<void, RunOutcome> Run::prepare() {
  const auto files = read_guest_files(options_);
  if (!files) {
    return bad_input(files.error());
  }
  const auto platform = make_run_platform(options_, options_.product);
  if (!platform) {
    return bad_input(platform.error());
  }
  machine_ = std::make_unique<machine::Machine>(
      machine::Config{dram_bytes_for(options_.memory), options_.seed, platform->product,
                      options_.vcpus, observation_.machine_observers(), platform->identity});
  observation_.attach(*machine_);
  if (!options_.stats.empty()) {
    timed_port_.emplace(machine_->port(), times_.port);
  }
  kvm_ = kvm::make_kvm(timed_port_ ? *timed_port_ : machine_->port(), {options_.direct_map});
  if (options_.mode == image::Mode::snp) {
    if (const auto told = tell_firmware(*kvm_, *platform); !told) {
      return bad_input(told.error());
    }
  }
  const image::Inputs inputs = plan_inputs(options_, *files, *kvm_);
  observation_.add_symbols(inputs.kernel.bytes);
  const auto plan = image::build(inputs);
  if (!plan) {
    return bad_input(plan.error().text);
  }
  const vmm::Config config = vmm_config(options_, *platform);
  auto launched = vmm::launch(*kvm_, config, *plan, observation_.kvm_observer());
  if (!launched) {
    return Failure{launched.error()};
  }
  times_.launch = HostClock::now() - start_;
  report_launch(*launched);
  vmm_ = std::make_unique<vmm::Vmm>(std::move(*launched), plan->ram, config);
  return {};
}

void Run::report_launch(const vmm::LaunchedVm& launched) const {
  for (const std::string& line : launched.corrected_cpuid) {
    say(line);
  }
  if (options_.quiet) {
    return;
  }
  std::string identity;
  if (options_.mode == image::Mode::snp) {
    identity = "digest " + observation_.launch_digest() + ", ";
  } else if (launched.measurement) {
    identity =
        fmt::format("measurement {:02x}, nonce {:02x}, ", fmt::join(launched.measurement->hmac, ""),
                    fmt::join(launched.measurement->nonce, ""));
  }
  const std::string vcpus = options_.vcpus > 1 ? fmt::format("{} vCPUs, ", options_.vcpus) : "";
  say(fmt::format("{} guest, {} MiB, {}{}launched in {:.2f} s", guest_kind(options_.mode),
                  options_.memory >> 20, vcpus, identity, times_.launch.count()));
}

// Linux prints them, too: memory that the host has lost until the next reset.
void Run::report_leaks() const {
  for (const auto& [page, size] : kvm_->leaked_pages()) {
    say(fmt::format("leaked: the {} KiB at sPA {:#x} could not be taken back", bytes(size) >> 10,
                    page.value()));
  }
}

// The terminal is raw, and the signals are ours, only while the guest runs.
RunOutcome Run::run_guest() {
  vmm::StopSignals signals;
  std::unique_ptr<vmm::Console> console;
  if (::isatty(STDIN_FILENO) != 0) {
    console = std::make_unique<vmm::TerminalConsole>(STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO);
  } else {
    console = std::make_unique<vmm::PipeConsole>(STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO);
  }
  const auto begin = HostClock::now();
  RunOutcome end = vmm_->run(*console, signals);
  times_.guest = HostClock::now() - begin;
  return end;
}

bool is_expected(OutcomeKind kind) {
  return vmm::exit_status(kind) == 0 || kind == OutcomeKind::bad_input;
}

}  // namespace

int run_command(const RunOptions& options) {
  Run run(options);
  const RunOutcome end = run.perform();
  if (!is_expected(end.kind)) {
    say(end.text);
    fmt::print(stderr, "{}", run.explanations());
  } else if (end.kind == OutcomeKind::bad_input || !options.quiet) {
    say(end.text);
  }
  fmt::print(stderr, "{}", run.conversions());
  return end.status;
}

}  // namespace softsnp::cli
