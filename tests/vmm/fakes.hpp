// A hypervisor that plays a script: each run() of the vCPU returns the next exit.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hypervisor/kvm/kvm.hpp"
#include "vmm/console.hpp"
#include "vmm/stop_signals.hpp"

namespace softsnp::vmm::test {

// What a scripted vCPU does when it is run: pass time, then exit.
struct Step {
  kvm::KvmExit exit;
  u64 ticks = 1000;
};

struct FakeWorld {
  u64 now = 5000;
  u64 next_device_event = 0;
  std::vector<std::pair<u64, u32>> messages;
  std::vector<u8> level_vectors;
};

class FakeVcpu final : public kvm::Vcpu {
 public:
  explicit FakeVcpu(FakeWorld& world, u32 index = 0) : world_(world), index_(index) {}

  u32 index() const override { return index_; }
  u32 apic_id() const override { return index_; }
  kvm::MpState mp_state() const override {
    return halted() ? kvm::MpState::halted : waits ? *waits : kvm::MpState::runnable;
  }
  Vmpl vmpl() const override { return Vmpl::vmpl0; }

  Result<void, kvm::Error> set_state(const svm::Vmsa& state) override {
    state_ = state;
    return {};
  }
  svm::Vmsa state() const override { return state_; }
  void set_cpuid(std::span<const kvm::CpuidEntry> entries) override {
    cpuid.assign(entries.begin(), entries.end());
  }
  // Without a script the vCPU idles as a hypervisor does: to the next event or the deadline.
  kvm::KvmExit run(u64 deadline) override {
    ++runs;
    if (script.empty()) {
      const u64 event = world_.next_device_event;
      world_.now = event > world_.now && event < deadline ? event : deadline;
      return kvm::InterruptedExit{};
    }
    const Step step = script.front();
    script.pop_front();
    world_.now += step.ticks;
    return step.exit;
  }
  void complete_io(std::span<const u8> bytes) override {
    io.emplace_back(bytes.begin(), bytes.end());
  }
  void complete_mmio(std::span<const u8> bytes) override {
    mmio.emplace_back(bytes.begin(), bytes.end());
  }
  void complete_hypercall(u64 ret) override { hypercalls.push_back(ret); }
  void complete_certificates(u64 ret, u64 npages) override {
    certificates.emplace_back(ret, npages);
  }
  bool ready_for_extint() const override { return extint_ready; }
  void queue_extint(u8 vector) override { extints.push_back(vector); }
  void request_extint_window(bool wanted) override { window_wanted = wanted; }
  void inject_nmi() override {}
  bool halted() const override { return is_halted && script.empty(); }

  std::deque<Step> script;
  unsigned runs = 0;
  bool is_halted = false;
  std::optional<kvm::MpState> waits;
  bool extint_ready = false;
  bool window_wanted = false;
  std::vector<u8> extints;
  std::vector<kvm::CpuidEntry> cpuid;
  std::vector<std::vector<u8>> io, mmio;
  std::vector<u64> hypercalls;
  std::vector<std::pair<u64, u64>> certificates;

 private:
  FakeWorld& world_;
  u32 index_;
  svm::Vmsa state_{};
};

class FakeVm final : public kvm::Vm {
 public:
  explicit FakeVm(FakeWorld& world) : world_(world), vcpu(world) {}

  Result<void, kvm::Error> set_memory_region(u32 slot, GuestPhysical gpa, u64 size) override {
    calls.push_back("region " + std::to_string(slot));
    regions[gpa.value()] = size;
    return {};
  }
  Result<void, kvm::Error> set_user_memory_region(const kvm::UserMemoryRegion& region) override {
    calls.push_back("region " + std::to_string(region.slot));
    regions[region.gpa.value()] = region.size;
    slots.push_back(region);
    return {};
  }
  Result<std::vector<u64>, kvm::Error> get_dirty_log(u32) override { return std::vector<u64>{}; }
  Result<u32, kvm::Error> create_guest_memfd(u64 size) override {
    memfds.push_back(size);
    return static_cast<u32>(memfds.size());
  }
  Result<void, kvm::Error> close_guest_memfd(u32) override { return {}; }
  Result<void, kvm::Error> register_region(HostVirtual first, u64 size) override {
    calls.push_back("register");
    if (register_error != 0) {
      return Failure{kvm::Error{register_error, 0, "scripted"}};
    }
    registered.push_back({first, size});
    return {};
  }
  Result<void, kvm::Error> unregister_region(HostVirtual first, u64 size) override {
    registered.erase(std::find(registered.begin(), registered.end(), kvm::RamBlock{first, size}));
    return {};
  }
  Result<void, kvm::Error> set_private(GuestPhysical gpa, u64 size, bool is_private) override {
    calls.push_back(is_private ? "private" : "shared");
    conversions.push_back({gpa.value(), size, is_private});
    if (conversion_error != 0) {
      return Failure{kvm::Error{conversion_error, 0, "scripted"}};
    }
    return {};
  }
  Result<kvm::MoveReport, kvm::Error> migrate_private(GuestPhysical, u64, unsigned) override {
    return kvm::MoveReport{};
  }
  Result<kvm::MoveReport, kvm::Error> swap_out_private(GuestPhysical, u64) override {
    return kvm::MoveReport{};
  }
  Result<kvm::MoveReport, kvm::Error> swap_in_private(GuestPhysical, u64) override {
    return kvm::MoveReport{};
  }
  bool is_private(GuestPhysical) const override { return true; }
  Result<void, kvm::Error> read_shared(GuestPhysical, std::span<u8>) override { return {}; }
  Result<void, kvm::Error> write_shared(GuestPhysical gpa, std::span<const u8> from) override {
    if (write_error != 0) {
      return Failure{kvm::Error{write_error, 0, "scripted"}};
    }
    written[gpa.value()].assign(from.begin(), from.end());
    return {};
  }
  Result<void, kvm::Error> launch_start(const kvm::LaunchStart& start) override {
    calls.push_back("start");
    policy = start.policy;
    if (start_error.number != 0) {
      return Failure{start_error};
    }
    return {};
  }
  Result<void, kvm::Error> launch_update(const kvm::LaunchUpdate& update,
                                         std::vector<u8>* corrected) override {
    calls.push_back("update " + std::to_string(static_cast<int>(update.type)));
    if (update.type == kvm::LaunchPageType::cpuid && !accepted_cpuid_page.empty() &&
        !std::equal(update.bytes.begin(), update.bytes.end(), accepted_cpuid_page.begin(),
                    accepted_cpuid_page.end())) {
      if (corrected) {
        *corrected = accepted_cpuid_page;
      }
      return Failure{kvm::Error{5, 0x16, "CPUID page refused"}};
    }
    return {};
  }
  Result<void, kvm::Error> launch_finish(const kvm::LaunchFinish& given) override {
    calls.push_back("finish");
    finish = given;
    if (finish_error.number != 0) {
      return Failure{finish_error};
    }
    return {};
  }
  Result<void, kvm::Error> enable_certificate_exits() override {
    calls.push_back("certificate exits");
    return {};
  }
  Result<void, kvm::Error> sev_launch_start(const kvm::SevLaunchStart&) override {
    calls.push_back("sev start");
    return {};
  }
  Result<void, kvm::Error> sev_launch_update_data(GuestPhysical, u64) override {
    calls.push_back("sev update");
    return {};
  }
  Result<void, kvm::Error> sev_launch_update_vmsa() override {
    calls.push_back("sev vmsa");
    return {};
  }
  Result<kvm::SevMeasurement, kvm::Error> sev_launch_measure() override {
    calls.push_back("sev measure");
    return kvm::SevMeasurement{};
  }
  Result<void, kvm::Error> sev_launch_secret(GuestPhysical, std::span<const u8>,
                                             std::span<const u8>) override {
    return {};
  }
  Result<void, kvm::Error> sev_launch_finish() override {
    calls.push_back("sev finish");
    return {};
  }
  Result<void, kvm::Error> sev_debug_read(GuestPhysical, std::span<u8>) override { return {}; }
  Result<void, kvm::Error> sev_debug_write(GuestPhysical, std::span<const u8>) override {
    return {};
  }
  Result<kvm::Vcpu*, kvm::Error> create_vcpu(u32 apic_id) override {
    calls.push_back("vcpu");
    if (apic_id == 0) {
      return static_cast<kvm::Vcpu*>(&vcpu);
    }
    others.push_back(std::make_unique<FakeVcpu>(world_, apic_id));
    others.back()->waits = kvm::MpState::uninitialized;
    return static_cast<kvm::Vcpu*>(others.back().get());
  }
  // Whoever has a script first; else the first vCPU.
  kvm::VmExit run(u64 deadline) override {
    for (const auto& other : others) {
      if (!other->script.empty() && vcpu.script.empty()) {
        return {other.get(), other->run(deadline)};
      }
    }
    return {&vcpu, vcpu.run(deadline)};
  }
  void signal_msi(u64 address, u32 data) override { world_.messages.emplace_back(address, data); }
  void set_ioapic_level_vectors(std::span<const u8> vectors) override {
    world_.level_vectors.assign(vectors.begin(), vectors.end());
  }
  u64 now() const override { return world_.now; }
  u64 tsc_frequency_hz() const override { return 1'000'000'000; }
  void set_next_device_event(u64 tsc) override { world_.next_device_event = tsc; }

  struct Conversion {
    u64 gpa, size;
    bool is_private;
    friend bool operator==(const Conversion&, const Conversion&) = default;
  };

 private:
  FakeWorld& world_;

 public:
  FakeVcpu vcpu;
  std::vector<std::unique_ptr<FakeVcpu>> others;
  std::vector<std::string> calls;
  std::map<u64, u64> regions;
  std::vector<Conversion> conversions;
  std::map<u64, std::vector<u8>> written;
  std::vector<kvm::UserMemoryRegion> slots;
  std::vector<u64> memfds;
  std::vector<kvm::RamBlock> registered;
  int conversion_error = 0;
  int write_error = 0;
  int register_error = 0;
  kvm::Error start_error;
  kvm::LaunchFinish finish;
  kvm::Error finish_error;
  std::vector<u8> accepted_cpuid_page;
  u64 policy = 0;
};

// Addresses without anything behind them.
class FakeProcessMemory final : public kvm::ProcessMemory {
 public:
  Result<HostVirtual, kvm::Error> map(u64 bytes) override {
    const HostVirtual first(next_);
    next_ += align_up(bytes, large_page_size);
    mapped.push_back({first, bytes});
    return first;
  }
  Result<void, kvm::Error> unmap(HostVirtual first) override {
    mapped.erase(std::find_if(mapped.begin(), mapped.end(),
                              [&](const kvm::RamBlock& block) { return block.first == first; }));
    return {};
  }
  Result<void, kvm::Error> read(HostVirtual, std::span<u8>) override { return {}; }
  Result<void, kvm::Error> write(HostVirtual, std::span<const u8>) override { return {}; }
  std::vector<kvm::RamBlock> blocks() const override { return mapped; }
  kvm::MoveReport compact() override { return {}; }
  kvm::MoveReport migrate(kvm::RamBlock, unsigned) override { return {}; }
  kvm::MoveReport swap_out(kvm::RamBlock) override { return {}; }
  kvm::MoveReport swap_in(kvm::RamBlock) override { return {}; }
  kvm::MoveReport merge(std::span<const kvm::RamBlock>) override { return {}; }
  kvm::ProcessMemoryReport report() const override { return {}; }

  std::vector<kvm::RamBlock> mapped;

 private:
  u64 next_ = u64{1} << 44;
};

// Hands out one VM, prepared before.
class FakeKvm final : public kvm::Kvm {
 public:
  FakeKvm() : prepared_(std::make_unique<FakeVm>(world)), vm(*prepared_) {}
  Result<std::unique_ptr<kvm::Vm>, kvm::Error> create_vm(const kvm::VmConfig& config) override {
    type = config.type;
    guest_requests_per_second = config.guest_requests_per_second;
    vmsa_features = config.vmsa_features;
    alternate_injection = config.alternate_injection;
    return std::unique_ptr<kvm::Vm>(std::move(prepared_));
  }
  std::vector<kvm::CpuidEntry> supported_cpuid(kvm::VmType) const override { return cpuid; }
  Result<kvm::SevPlatformCertificates, kvm::Error> sev_pdh_cert_export() override {
    return kvm::SevPlatformCertificates{};
  }
  Result<void, kvm::Error> snp_commit() override { return {}; }
  Result<void, kvm::Error> snp_set_config(const psp::SnpConfig&) override { return {}; }
  Result<void, kvm::Error> snp_vlek_load(const psp::WrappedVlek&) override { return {}; }
  kvm::DirectMapReport direct_map() const override { return {}; }
  kvm::ProcessMemory& memory() override { return process; }
  std::vector<LeakedPage> leaked_pages() const override { return {}; }

  FakeWorld world;
  FakeProcessMemory process;

 private:
  std::unique_ptr<FakeVm> prepared_;

 public:
  FakeVm& vm;
  kvm::VmType type = kvm::VmType::plain;
  u32 guest_requests_per_second = 0;
  u64 vmsa_features = 0;
  bool alternate_injection = false;
  std::vector<kvm::CpuidEntry> cpuid;
};

class FakeConsole final : public Console {
 public:
  void write(std::span<const u8> bytes) override { output.append(bytes.begin(), bytes.end()); }
  ConsoleInput poll(std::chrono::milliseconds) override {
    ++polls;
    if (inputs.empty()) {
      has_ended = true;
      return {};
    }
    ConsoleInput next = inputs.front();
    inputs.pop_front();
    return next;
  }
  bool interactive() const override { return is_interactive; }
  bool ended() const override { return has_ended; }
  void notice(std::string_view line) override { notices.emplace_back(line); }

  std::string output;
  std::deque<ConsoleInput> inputs;
  std::vector<std::string> notices;
  bool is_interactive = false;
  bool has_ended = false;
  unsigned polls = 0;
};

struct NoSignals final : StopSource {
  std::optional<int> stop_requested() override { return number; }
  std::optional<int> number;
};

}  // namespace softsnp::vmm::test
