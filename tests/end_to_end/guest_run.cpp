#include "tests/end_to_end/guest_run.hpp"

#include <cstdlib>

#include "cli/sizing.hpp"
#include "vmm/cpuid_table.hpp"
#include "vmm/guest_cpuid.hpp"

namespace softsnp::end_to_end {
namespace {

std::string hexadecimal(std::span<const u8> bytes) {
  std::string text;
  for (const u8 byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// No signal ends a test's run; the question comes between slices.
class NeverStops final : public vmm::StopSource {
 public:
  explicit NeverStops(std::function<void()> act) : act_(std::move(act)) {}
  std::optional<int> stop_requested() override {
    if (act_) {
      act_();
    }
    return std::nullopt;
  }

 private:
  std::function<void()> act_;
};

}  // namespace

class GuestRun::Capture final : public vmm::Console {
 public:
  void write(std::span<const u8> bytes) override {
    for (const u8 byte : bytes) {
      if (byte != '\r') {
        output += static_cast<char>(byte);
      }
    }
  }
  vmm::ConsoleInput poll(std::chrono::milliseconds) override {
    ended_ = true;
    return {};
  }
  bool interactive() const override { return false; }
  bool ended() const override { return ended_; }
  void notice(std::string_view) override {}

  std::string output;

 private:
  bool ended_ = false;
};

// Everybody who listens to a run: the place first, because the others ask for it.
class GuestRun::Watch final : public observe::Viewpoint, public observe::Listener {
 public:
  Watch(const observe::Symbols& symbols, bool with_trace) : explainer_(symbols) {
    fan_out_.add(*this);
    fan_out_.add(explainer_);
    if (with_trace) {
      stream_ = ::open_memstream(&text_, &length_);
      tracer_.emplace(stream_, *this, symbols);
      fan_out_.add(*tracer_);
    }
  }
  ~Watch() override {
    if (stream_ != nullptr) {
      std::fclose(stream_);
      std::free(text_);
    }
  }
  void attach(machine::Machine& machine) {
    machine_ = &machine;
    explainer_.set_evidence({this, &machine.rmp(), [&machine]() -> const cpu::Denial& {
                               return machine.core(machine.last_core()).mmu().last_denial();
                             }});
  }
  observe::FanOut& fan_out() { return fan_out_; }
  const observe::Explainer& explainer() const { return explainer_; }
  std::string trace() const {
    if (stream_ == nullptr || std::fflush(stream_) != 0) {
      return {};
    }
    return {text_, length_};
  }

  std::string digest;

 private:
  observe::Moment moment() const override {
    if (machine_ == nullptr) {
      return {};
    }
    const unsigned vcpu = machine_->last_core();
    const cpu::Processor& processor = machine_->core(vcpu);
    const bool in_guest = processor.system().controls().guest;
    return {machine_->now(), vcpu, Vmpl::vmpl0, in_guest ? processor.core().state.rip : last_rip_};
  }
  void vmexit(svm::ExitCode, u64, u64, u64 rip) override { last_rip_ = rip; }
  void launch_finished(const psp::LaunchFinished& event) override {
    digest = hexadecimal(event.launch_digest.bytes);
  }

  machine::Machine* machine_ = nullptr;
  u64 last_rip_ = 0;
  observe::FanOut fan_out_;
  observe::Explainer explainer_;
  std::optional<observe::Tracer> tracer_;
  std::FILE* stream_ = nullptr;
  char* text_ = nullptr;
  usize length_ = 0;
};

GuestRun::GuestRun(GuestOptions options)
    : options_(std::move(options)), console_(std::make_unique<Capture>()) {
  if (!options_.unobserved) {
    watch_ = std::make_unique<Watch>(symbols_, options_.trace);
  }
}

GuestRun::~GuestRun() = default;

machine::Observers GuestRun::observers() {
  if (!watch_) {
    return {};
  }
  return {&watch_->fan_out(), &watch_->fan_out(), &watch_->fan_out()};
}

const vmm::RunOutcome& GuestRun::run() {
  outcome_ = perform();
  return outcome_;
}

vmm::RunOutcome GuestRun::perform() {
  symbols_.add_elf(options_.kernel.bytes);
  machine_ = std::make_unique<machine::Machine>(
      machine::Config{cli::dram_bytes_for(options_.memory), options_.seed, psp::Product::genoa,
                      options_.vcpus, observers()});
  if (watch_) {
    watch_->attach(*machine_);
  }
  machine_->dram().set_bus_layer(options_.bus_layer);
  if (options_.host) {
    hostile_ = options_.host(machine_->port());
  }
  kvm_ = kvm::make_kvm(hostile_ ? *hostile_ : machine_->port());
  image::Inputs inputs{
      options_.kernel, options_.initrd, options_.append, options_.memory, options_.mode, 51, {},
      options_.vcpus};
  inputs.injection = options_.injection;
  inputs.acceptance = options_.acceptance;
  if (options_.mode == image::Mode::snp) {
    const auto supported = vmm::guest_cpuid(*kvm_, kvm::VmType::snp, options_.vcpus);
    inputs.c_bit = vmm::c_bit(supported);
    inputs.cpuid = vmm::cpuid_page_entries(supported);
  }
  if (options_.svsm) {
    inputs.svsm = image::Svsm{{"built-in SVSM", guest::svsm_image()}};
  }
  const auto plan = image::build(inputs);
  if (!plan) {
    return vmm::outcome(vmm::OutcomeKind::bad_input, plan.error().text);
  }
  vmm::Config config;
  config.mode = options_.mode;
  config.policy = options_.policy;
  config.owner = options_.owner;
  config.timeout = options_.timeout;
  config.slice_ticks = options_.slice_ticks != 0 ? options_.slice_ticks : config.slice_ticks;
  config.certificates = options_.certificates;
  config.guest_requests_per_second = options_.guest_requests_per_second;
  auto launched = vmm::launch(*kvm_, config, *plan, watch_ ? &watch_->fan_out() : nullptr);
  if (!launched) {
    return launched.error();
  }
  vmm_ = std::make_unique<vmm::Vmm>(std::move(*launched), plan->ram, config);
  std::function<void()> act;
  if (options_.between_slices) {
    act = [this] { options_.between_slices(*kvm_); };
  }
  NeverStops signals(std::move(act));
  return vmm_->run(*console_, signals);
}

const std::string& GuestRun::output() const {
  return console_->output;
}

std::string GuestRun::explanations() const {
  std::string text;
  if (watch_) {
    for (const std::string& paragraph : watch_->explainer().paragraphs()) {
      text += paragraph + "\n";
    }
  }
  return text;
}

std::string GuestRun::trace() const {
  return watch_ ? watch_->trace() : std::string();
}

std::string GuestRun::launch_digest() const {
  return watch_ ? watch_->digest : std::string();
}

double GuestRun::virtual_seconds() const {
  const u64 hz = vmm_ ? vmm_->vm().tsc_frequency_hz() : 0;
  return hz == 0 ? 0 : static_cast<double>(vmm_->virtual_time()) / static_cast<double>(hz);
}

std::string GuestRun::dram_digest() {
  return hexadecimal(machine_->dram().digest());
}

}  // namespace softsnp::end_to_end
