// One run of a guest in this process: machine, hypervisor, VMM and a console that keeps what the
// guest printed, composed as cli/ composes them.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "guest/samples/embedded.hpp"
#include "guest/vmpl0/embedded.hpp"
#include "image/image.hpp"
#include "machine/cpu/processor.hpp"
#include "machine/machine.hpp"
#include "machine/memory/dram/dram.hpp"
#include "observe/explainer.hpp"
#include "observe/tracer.hpp"
#include "vmm/vmm.hpp"

namespace softsnp::end_to_end {

struct GuestOptions {
  image::Mode mode = image::Mode::snp;
  std::string append;
  u64 memory = u64{32} << 20;
  image::Acceptance acceptance = image::Acceptance::eager;
  unsigned vcpus = 1;
  bool svsm = false;
  u64 seed = 0;
  u64 policy = 0x30000;
  image::File kernel{"built-in sample guest", guest::sample_image()};
  image::File initrd{};
  snp::InjectionMode injection = snp::InjectionMode::normal;
  // Of the VMM's configuration.
  std::vector<u8> certificates{};
  u32 guest_requests_per_second = 0;
  // Turns the honest host into another one; null: honest. The result outlives the hypervisor.
  std::function<std::unique_ptr<machine::HostPort>(machine::HostPort&)> host;
  // Between the askers and DRAM from the start on; null: nothing. Outlives the run.
  memory::BusLayer* bus_layer = nullptr;
  // What the host does between two slices of the guest's time, and how long those are; 0: as usual.
  std::function<void(kvm::Kvm&)> between_slices;
  u64 slice_ticks = 0;
  // Host time; ends a run that would not end.
  std::optional<std::chrono::milliseconds> timeout = std::chrono::seconds(120);
  // Of an SEV or SEV-ES guest; outlives the run.
  vmm::GuestOwner* owner = nullptr;
  // Nobody listens: no explanations, no trace, no digest.
  bool unobserved = false;
  bool trace = false;
};

// "case=NAME" for the sample guest.
inline GuestOptions sample_case(const std::string& name) {
  GuestOptions options;
  options.append = "case=" + name;
  return options;
}

// The guest that tries its SVSM: all of it, or one case.
inline GuestOptions svsm_case(const std::string& name = "") {
  GuestOptions options;
  options.append = name.empty() ? "" : "case=" + name;
  options.kernel = {"built-in SVSM guest", guest::svsm_guest_image()};
  options.vcpus = 2;
  options.svsm = true;
  return options;
}

class GuestRun {
 public:
  explicit GuestRun(GuestOptions options);
  ~GuestRun();
  GuestRun(const GuestRun&) = delete;
  GuestRun& operator=(const GuestRun&) = delete;

  // Once. What refuses the plan or the launch is an outcome too.
  const vmm::RunOutcome& run();

  const vmm::RunOutcome& outcome() const { return outcome_; }
  const std::string& output() const;
  // What the explainer said, a line a paragraph; the register dump not among it.
  std::string explanations() const;
  // Lines of JSON, if asked for.
  std::string trace() const;
  // Hexadecimal; empty without a finished launch.
  std::string launch_digest() const;
  machine::Machine& machine() { return *machine_; }
  kvm::Kvm& kvm() { return *kvm_; }
  kvm::Vm& vm() { return vmm_->vm(); }
  // As GuestOptions::host made it; null without.
  machine::HostPort* hostile() { return hostile_.get(); }
  // Of the guest, in seconds.
  double virtual_seconds() const;
  std::string dram_digest();
  bool printed(const std::string& text) const { return output().find(text) != std::string::npos; }
  bool explained(const std::string& text) const {
    return explanations().find(text) != std::string::npos;
  }

 private:
  class Capture;
  class Watch;
  vmm::RunOutcome perform();
  machine::Observers observers();

  GuestOptions options_;
  vmm::RunOutcome outcome_;
  observe::Symbols symbols_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<Capture> console_;
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<machine::HostPort> hostile_;
  std::unique_ptr<kvm::Kvm> kvm_;
  std::unique_ptr<vmm::Vmm> vmm_;
};

}  // namespace softsnp::end_to_end
