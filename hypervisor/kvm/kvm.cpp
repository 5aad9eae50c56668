// The VM and the host kernel behind the KVM wall.
#include "hypervisor/kvm/kvm.hpp"

#include <algorithm>
#include <cerrno>

#include "arch/snp/features.hpp"
#include "arch/x86/msr.hpp"
#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/msr_permissions.hpp"
#include "hypervisor/kvm/own_ram.hpp"
#include "hypervisor/kvm/process_memory.hpp"
#include "hypervisor/kvm/vcpu.hpp"
#include "hypervisor/kvm/vm_scheduler.hpp"

namespace softsnp::kvm {
namespace {

Failure<Error> not_sev() {
  return fail(ENOTTY, "not an SEV or SEV-ES VM");
}

class VmImpl final : public Vm {
 public:
  VmImpl(host::HostKernel& host, CoreAsids& core_asids, const VmConfig& config, PermissionMaps maps,
         Asid plain_asid)
      : observer_(config.observer != nullptr ? *config.observer : no_observer_),
        own_ram_(host, memory_),
        memory_(host, config, observer_, counters_),
        snp_(host, memory_),
        sev_(host, memory_, config.type),
        context_{host, config.type, observer_,  counters_, memory_,    snp_,
                 sev_, vcpus_,      core_asids, maps,      plain_asid, u64{0} - host.port().tsc()},
        scheduler_(context_) {
    context_.request_limiter = RequestLimiter(config.guest_requests_per_second);
    context_.vmsa_features = config.vmsa_features;
    context_.alternate_injection = config.alternate_injection;
  }
  // vCPUs first, then the firmware's guest, then its memory.
  ~VmImpl() override { vcpus_.clear(); }

  bool has_page_tables() const { return memory_.root() != SystemPhysical(0); }

  Result<void, Error> set_user_memory_region(const UserMemoryRegion& region) override {
    return memory_.set_region(region);
  }
  Result<std::vector<u64>, Error> get_dirty_log(u32 slot) override {
    return memory_.take_dirty_log(slot);
  }
  Result<u32, Error> create_guest_memfd(u64 bytes) override {
    return memory_.create_guest_memfd(bytes);
  }
  Result<void, Error> close_guest_memfd(u32 file) override {
    return memory_.close_guest_memfd(file);
  }
  Result<void, Error> register_region(HostVirtual first, u64 bytes) override {
    return memory_.regions().add(first, bytes);
  }
  Result<void, Error> unregister_region(HostVirtual first, u64 bytes) override {
    return memory_.regions().remove(first, bytes);
  }
  Result<void, Error> set_memory_region(u32 slot, GuestPhysical gpa, u64 size) override {
    return own_ram_.set(slot, gpa, size, context_.is_snp());
  }
  Result<void, Error> set_private(GuestPhysical gpa, u64 size, bool is_private) override {
    return memory_.set_private(gpa, size, is_private);
  }
  Result<MoveReport, Error> migrate_private(GuestPhysical gpa, u64 size, unsigned node) override {
    return memory_.migrate_private(gpa, size, node);
  }
  Result<MoveReport, Error> swap_out_private(GuestPhysical gpa, u64 size) override {
    return memory_.swap_out_private(gpa, size);
  }
  Result<MoveReport, Error> swap_in_private(GuestPhysical gpa, u64 size) override {
    return memory_.swap_in_private(gpa, size);
  }
  bool is_private(GuestPhysical page) const override { return memory_.is_private(page); }
  Result<void, Error> read_shared(GuestPhysical gpa, std::span<u8> to) override {
    return memory_.read_shared(gpa, to);
  }
  Result<void, Error> write_shared(GuestPhysical gpa, std::span<const u8> from) override {
    return memory_.write_shared(gpa, from);
  }

  Result<void, Error> launch_start(const LaunchStart& start) override;
  Result<void, Error> launch_update(const LaunchUpdate& update,
                                    std::vector<u8>* corrected) override;
  Result<void, Error> launch_finish(const LaunchFinish& finish) override;
  Result<void, Error> sev_launch_start(const SevLaunchStart& start) override;
  Result<void, Error> sev_launch_update_data(GuestPhysical gpa, u64 length) override;
  Result<void, Error> sev_launch_update_vmsa() override;
  Result<SevMeasurement, Error> sev_launch_measure() override;
  Result<void, Error> sev_launch_secret(GuestPhysical gpa, std::span<const u8> header,
                                        std::span<const u8> packet) override;
  Result<void, Error> sev_launch_finish() override;
  Result<void, Error> sev_debug_read(GuestPhysical gpa, std::span<u8> to) override;
  Result<void, Error> sev_debug_write(GuestPhysical gpa, std::span<const u8> from) override;
  Result<void, Error> enable_certificate_exits() override;
  Result<Vcpu*, Error> create_vcpu(u32 apic_id) override;
  VmExit run(u64 deadline_tsc) override { return scheduler_.run(deadline_tsc); }

  void signal_msi(u64 address, u32 data) override;
  void set_ioapic_level_vectors(std::span<const u8> vectors) override;
  u64 now() const override { return context_.port().tsc(); }
  u64 tsc_frequency_hz() const override { return context_.port().tsc_frequency_hz(); }
  void set_next_device_event(u64 tsc) override { context_.next_device_event = tsc; }
  Counters counters() const override { return counters_; }

 private:
  Observer no_observer_;
  Observer& observer_;
  Counters counters_;
  OwnRam own_ram_;
  GuestMemory memory_;
  SnpGuest snp_;
  SevGuest sev_;
  VcpuSet vcpus_;
  VmContext context_;
  VmScheduler scheduler_;
};

Result<void, Error> VmImpl::launch_start(const LaunchStart& start) {
  if (!context_.is_snp()) {
    return fail(ENOTTY, "not an SNP VM");
  }
  auto started = snp_.start(start);
  if (started) {
    memory_.set_context(snp_.context());
  }
  return started;
}

Result<void, Error> VmImpl::launch_update(const LaunchUpdate& update, std::vector<u8>* corrected) {
  return context_.is_snp() ? snp_.update(update, corrected) : fail(ENOTTY, "not an SNP VM");
}

Result<void, Error> VmImpl::launch_finish(const LaunchFinish& finish) {
  if (!context_.is_snp()) {
    return fail(ENOTTY, "not an SNP VM");
  }
  std::vector<SystemPhysical> pages;
  for (const auto& vcpu : vcpus_) {
    const auto page = snp_.add_vmsa(vcpu->initial_state(), context_.vmsa_features);
    if (!page) {
      return Failure<Error>{page.error()};
    }
    pages.push_back(*page);
  }
  if (auto finished = snp_.finish(finish); !finished) {
    return finished;
  }
  for (usize i = 0; i < vcpus_.size(); ++i) {
    vcpus_[i].set_launched(pages[i], snp_.asid());
  }
  return {};
}

Result<void, Error> VmImpl::sev_launch_start(const SevLaunchStart& start) {
  return context_.is_sev() ? sev_.start(start) : not_sev();
}

Result<void, Error> VmImpl::sev_launch_update_data(GuestPhysical gpa, u64 length) {
  return context_.is_sev() ? sev_.update(gpa, length) : not_sev();
}

Result<void, Error> VmImpl::sev_launch_update_vmsa() {
  if (context_.type != VmType::sev_es) {
    return fail(ENOTTY, "not an SEV-ES VM");
  }
  for (const auto& vcpu : vcpus_) {
    const auto page = sev_.add_vmsa(vcpu->initial_state());
    if (!page) {
      return Failure<Error>{page.error()};
    }
    vcpu->set_launched(*page, sev_.asid());
  }
  return {};
}

Result<SevMeasurement, Error> VmImpl::sev_launch_measure() {
  if (!context_.is_sev()) {
    return not_sev();
  }
  const auto bytes = sev_.measure();
  if (!bytes) {
    return Failure<Error>{bytes.error()};
  }
  SevMeasurement measurement;
  std::copy_n(bytes->begin(), measurement.hmac.size(), measurement.hmac.begin());
  std::copy_n(bytes->begin() + measurement.hmac.size(), measurement.nonce.size(),
              measurement.nonce.begin());
  return measurement;
}

Result<void, Error> VmImpl::sev_launch_secret(GuestPhysical gpa, std::span<const u8> header,
                                              std::span<const u8> packet) {
  return context_.is_sev() ? sev_.secret(gpa, header, packet) : not_sev();
}

Result<void, Error> VmImpl::sev_launch_finish() {
  if (!context_.is_sev()) {
    return not_sev();
  }
  auto finished = sev_.finish();
  if (finished && context_.type == VmType::sev) {
    for (const auto& vcpu : vcpus_) {
      vcpu->set_encrypted(sev_.asid());
    }
  }
  return finished;
}

Result<void, Error> VmImpl::sev_debug_read(GuestPhysical gpa, std::span<u8> to) {
  return context_.is_sev() ? sev_.debug_read(gpa, to) : not_sev();
}

Result<void, Error> VmImpl::sev_debug_write(GuestPhysical gpa, std::span<const u8> from) {
  return context_.is_sev() ? sev_.debug_write(gpa, from) : not_sev();
}

Result<void, Error> VmImpl::enable_certificate_exits() {
  if (!context_.is_snp()) {
    return fail(ENOTTY, "not an SNP VM");
  }
  context_.certificate_exits = true;
  return {};
}

Result<Vcpu*, Error> VmImpl::create_vcpu(u32 apic_id) {
  if (vcpus_.find(apic_id) != nullptr) {
    return fail(EEXIST, "there is a vCPU with that APIC id");
  }
  if (context_.is_launched()) {
    return fail(EINVAL, "the launch has measured the vCPUs");
  }
  const auto page = context_.host.memory.allocate(PageSize::size_4k);
  if (!page) {
    return fail(ENOMEM, "no memory for a VMCB");
  }
  const usize index = vcpus_.size();
  vcpus_.add(std::make_unique<VcpuImpl>(context_, static_cast<u32>(index), apic_id, *page));
  return static_cast<Vcpu*>(&vcpus_[index]);
}

void VmImpl::signal_msi(u64 address, u32 data) {
  (void)vcpus_.send(message_of_msi(address, data), nullptr);
}

void VmImpl::set_ioapic_level_vectors(std::span<const u8> vectors) {
  context_.level_vectors.reset();
  for (const u8 vector : vectors) {
    context_.level_vectors.set(vector);
  }
}

Result<void, Error> as_ours(const Result<void, host::Error>& result) {
  return result ? Result<void, Error>() : fail(result.error());
}

class KvmImpl final : public Kvm {
 public:
  KvmImpl(machine::HostPort& port, const DirectMapConfig& direct_map, u64 lock_limit_bytes)
      : host_(port, direct_map, {lock_limit_bytes}), memory_(host_) {}

  Result<std::unique_ptr<Vm>, Error> create_vm(const VmConfig& config) override;
  std::vector<CpuidEntry> supported_cpuid(VmType type) const override {
    return kvm::supported_cpuid(host_.memory.port(), type);
  }
  Result<SevPlatformCertificates, Error> sev_pdh_cert_export() override {
    auto exported = host_.sev_device.pdh_cert_export();
    return exported ? Result<SevPlatformCertificates, Error>(*exported)
                    : Result<SevPlatformCertificates, Error>(fail(exported.error()));
  }
  Result<void, Error> snp_commit() override { return as_ours(host_.sev_device.snp_commit()); }
  Result<void, Error> snp_set_config(const psp::SnpConfig& config) override {
    return as_ours(host_.sev_device.snp_set_config(config));
  }
  Result<void, Error> snp_vlek_load(const psp::WrappedVlek& wrapped) override {
    return as_ours(host_.sev_device.snp_vlek_load(wrapped));
  }
  DirectMapReport direct_map() const override {
    const host::DirectMap& map = host_.memory.direct_map();
    return {map.counters(), map.census(), map.assigned_pages()};
  }
  ProcessMemory& memory() override { return memory_; }
  std::vector<LeakedPage> leaked_pages() const override {
    std::vector<LeakedPage> pages;
    for (const auto& leaked : host_.memory.leaked()) {
      pages.push_back({leaked.page, leaked.size});
    }
    return pages;
  }

 private:
  Result<PermissionMaps, Error> maps_for(VmType type);

  mutable host::HostKernel host_;
  ProcessMemoryImpl memory_;
  CoreAsids core_asids_;
  std::array<std::optional<PermissionMaps>, 4> maps_;  // by VmType
  u32 plain_vms_ = 0;
};

Result<PermissionMaps, Error> KvmImpl::maps_for(VmType type) {
  std::optional<PermissionMaps>& maps = maps_[static_cast<usize>(type)];
  if (!maps) {
    const auto pages = host_.memory.allocate_contiguous(permission_map_pages);
    if (!pages) {
      return fail(ENOMEM, "no memory for permission maps");
    }
    maps = PermissionMaps{*pages, *pages + io_map_bytes};
    host_.memory.store_own(maps->iopm, make_io_permissions());
    host_.memory.store_own(maps->msrpm, make_msr_permissions(type));
  }
  return *maps;
}

// Of KVM's valid_vmsa_features (Linux __sev_guest_init) and, of the restricted-injection series,
// its additions to them. Alternate injection is never VMPL0's: nobody is above it to hand
// interrupts on.
bool features_supported(const VmConfig& config) {
  const u64 supported = config.type == VmType::snp ? snp::feature::restricted_injection : u64{0};
  const bool restricted = (config.vmsa_features & snp::feature::restricted_injection) != 0;
  return (config.vmsa_features & ~supported) == 0 && (!config.alternate_injection || restricted);
}

Result<std::unique_ptr<Vm>, Error> KvmImpl::create_vm(const VmConfig& config) {
  if (!features_supported(config)) {
    return fail(EINVAL, "SEV_FEATURES that this type of VM cannot have");
  }
  const auto enabled = config.type == VmType::snp     ? host_.platform.enable_snp()
                       : config.type == VmType::plain ? host_.platform.enable_svm()
                                                      : host_.platform.enable_sev();
  if (!enabled) {
    return fail(enabled.error());
  }
  const auto maps = maps_for(config.type);
  if (!maps) {
    return Failure<Error>{maps.error()};
  }
  const auto asid = static_cast<Asid>(host_.asids.first_plain() + plain_vms_);
  plain_vms_ += config.type == VmType::plain ? 1 : 0;
  auto vm = std::make_unique<VmImpl>(host_, core_asids_, config, *maps, asid);
  if (!vm->has_page_tables()) {
    return fail(ENOMEM, "no memory for nested page tables");
  }
  return std::unique_ptr<Vm>(std::move(vm));
}

}  // namespace

std::unique_ptr<Kvm> make_kvm(machine::HostPort& port, const DirectMapConfig& direct_map,
                              u64 lock_limit_bytes) {
  return std::make_unique<KvmImpl>(port, direct_map, lock_limit_bytes);
}

}  // namespace softsnp::kvm
