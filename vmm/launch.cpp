#include "vmm/launch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "arch/snp/features.hpp"
#include "vmm/cpuid_table.hpp"
#include "vmm/guest_cpuid.hpp"
#include "vmm/guest_ram.hpp"

namespace softsnp::vmm {
namespace {

using Done = Result<void, RunOutcome>;

Failure<RunOutcome> refused(OutcomeKind kind, std::string_view step, const kvm::Error& error) {
  std::string text = fmt::format("{}: {}", step, error.what);
  if (error.firmware != 0) {
    text += fmt::format(" (firmware status {:#x})", error.firmware);
  }
  return Failure{outcome(kind, std::move(text))};
}

// QEMU leaves the RAM of an SNP guest alone.
Done give_memory(LaunchedVm& launched, kvm::Kvm& kvm, const image::LaunchPlan& plan) {
  launched.ram = std::make_unique<RamBlocks>(kvm.memory());
  if (plan.mode == image::Mode::sev || plan.mode == image::Mode::sev_es) {
    launched.encrypted_ram = std::make_unique<EncryptedRam>(*launched.vm, *launched.ram);
    if (const auto done = launched.ram->add_notifier(*launched.encrypted_ram); !done) {
      return refused(OutcomeKind::internal_fault, "guest memory", done.error());
    }
  }
  if (const auto done = give_ram(*launched.vm, *launched.ram, plan); !done) {
    return refused(OutcomeKind::internal_fault, "guest memory", done.error());
  }
  return {};
}

// Firmware writes the page it would accept back; QEMU's second try uses that one.
Done launch_cpuid_page(LaunchedVm& launched, const kvm::LaunchUpdate& update) {
  std::vector<u8> corrected;
  const auto first = launched.vm->launch_update(update, &corrected);
  if (first) {
    return {};
  }
  if (corrected.size() != update.bytes.size()) {
    return refused(OutcomeKind::internal_fault, "CPUID page", first.error());
  }
  launched.corrected_cpuid = corrected_leaves(update.bytes, corrected);
  kvm::LaunchUpdate retry = update;
  retry.bytes = corrected;
  if (const auto second = launched.vm->launch_update(retry); !second) {
    return refused(OutcomeKind::internal_fault, "CPUID page", second.error());
  }
  return {};
}

kvm::LaunchPageType page_type(image::PageType type) {
  switch (type) {
    case image::PageType::normal:
      return kvm::LaunchPageType::normal;
    case image::PageType::zero:
      return kvm::LaunchPageType::zero;
    case image::PageType::unmeasured:
      return kvm::LaunchPageType::unmeasured;
    case image::PageType::secrets:
      return kvm::LaunchPageType::secrets;
    case image::PageType::cpuid:
      break;
  }
  return kvm::LaunchPageType::cpuid;
}

Done launch_region(LaunchedVm& launched, const image::LaunchRegion& region) {
  const kvm::LaunchUpdate update{region.gpa, region.length, page_type(region.type), region.bytes};
  if (region.type == image::PageType::cpuid) {
    return launch_cpuid_page(launched, update);
  }
  if (const auto done = launched.vm->launch_update(update); !done) {
    return refused(
        OutcomeKind::internal_fault,
        fmt::format("launch update of {} bytes at {:#x}", region.length, region.gpa.value()),
        done.error());
  }
  return {};
}

Failure<RunOutcome> policy_refused(u64 policy, const kvm::Error& error) {
  constexpr u16 policy_failure = 0x07;  // firmware sheet 1.2
  const bool users_fault = error.firmware == policy_failure || error.number == EINVAL;
  return refused(users_fault ? OutcomeKind::bad_input : OutcomeKind::internal_fault,
                 fmt::format("launch with policy {:#x} refused", policy), error);
}

Done launch_protected(LaunchedVm& launched, const image::LaunchPlan& plan, const Config& config) {
  if (const auto done = launched.vm->launch_start({config.policy}); !done) {
    return policy_refused(config.policy, done.error());
  }
  for (const image::LaunchRegion& region : plan.regions) {
    if (Done done = launch_region(launched, region); !done) {
      return done;
    }
  }
  if (const auto done = launched.vm->launch_finish(config.finish); !done) {
    // What firmware has against a launch without an ID block is our fault.
    const bool users_fault = !config.finish.id_block.empty() && done.error().firmware != 0;
    return refused(users_fault ? OutcomeKind::bad_input : OutcomeKind::internal_fault,
                   users_fault ? "launch with this ID block refused" : "launch finish",
                   done.error());
  }
  return {};
}

// Pages without content stay untouched: fresh memory is zero and costs nothing.
Done load_plain(kvm::Vm& vm, const image::LaunchPlan& plan) {
  for (const image::LaunchRegion& region : plan.regions) {
    const std::span<const u8> bytes(region.bytes);
    for (u64 at = 0; at < bytes.size(); at += page_size) {
      const auto page = bytes.subspan(at, std::min<u64>(page_size, bytes.size() - at));
      if (std::all_of(page.begin(), page.end(), [](u8 byte) { return byte == 0; })) {
        continue;
      }
      if (const auto done = vm.write_shared(region.gpa + at, page); !done) {
        return refused(OutcomeKind::internal_fault, "loading the image", done.error());
      }
    }
  }
  return {};
}

// Zeros that must be zeros under the guest's key: below 1 MiB, where BIOS data is looked for, and
// what an ELF or Multiboot image counts on (.bss). A bzImage clears its memory itself. The rest is
// noise until the guest writes it, as on a real host.
u64 zeros_that_count(const image::LaunchPlan& plan, const image::LaunchRegion& region) {
  constexpr GuestPhysical one_mib(u64{1} << 20);
  const GuestPhysical end = region.gpa + region.length;
  const image::Layout& at = plan.layout;
  if (region.gpa < one_mib) {
    return region.length;
  }
  if (plan.format == image::Format::bzimage || region.gpa >= at.kernel_end ||
      end <= at.kernel_start) {
    return 0;
  }
  return align_up(std::min(end, at.kernel_end) - region.gpa, page_size);
}

Done encrypt(kvm::Vm& vm, const image::LaunchPlan& plan) {
  for (const image::LaunchRegion& region : plan.regions) {
    const u64 length = region.bytes.empty() ? zeros_that_count(plan, region) : region.length;
    if (length == 0) {
      continue;
    }
    if (const auto done = vm.sev_launch_update_data(region.gpa, length); !done) {
      return refused(OutcomeKind::internal_fault,
                     fmt::format("encrypting {} bytes at {:#x}", length, region.gpa.value()),
                     done.error());
    }
  }
  return {};
}

Done start_sev(kvm::Kvm& kvm, kvm::Vm& vm, const Config& config) {
  const u32 policy = static_cast<u32>(config.policy);
  kvm::SevLaunchStart start{policy, {}, {}};
  if (config.owner != nullptr) {
    const auto certificates = kvm.sev_pdh_cert_export();
    if (!certificates) {
      return refused(OutcomeKind::internal_fault, "the platform's certificates",
                     certificates.error());
    }
    start = config.owner->begin(policy, certificates->pdh);
  }
  if (const auto done = vm.sev_launch_start(start); !done) {
    return policy_refused(config.policy, done.error());
  }
  return {};
}

Done inject_secrets(kvm::Vm& vm, const Config& config, const kvm::SevMeasurement& measurement) {
  if (config.owner == nullptr) {
    return {};
  }
  for (const LaunchSecret& secret : config.owner->answer(measurement)) {
    if (const auto done = vm.sev_launch_secret(secret.gpa, secret.header, secret.packet); !done) {
      return refused(OutcomeKind::bad_input,
                     fmt::format("launch secret for {:#x}", secret.gpa.value()), done.error());
    }
  }
  return {};
}

Done launch_sev(LaunchedVm& launched, kvm::Kvm& kvm, const image::LaunchPlan& plan,
                const Config& config) {
  kvm::Vm& vm = *launched.vm;
  if (Done done = start_sev(kvm, vm, config); !done) {
    return done;
  }
  if (Done done = load_plain(vm, plan); !done) {
    return done;
  }
  if (Done done = encrypt(vm, plan); !done) {
    return done;
  }
  if (plan.mode == image::Mode::sev_es) {
    if (const auto done = vm.sev_launch_update_vmsa(); !done) {
      return refused(OutcomeKind::internal_fault, "encrypting the vCPU's state", done.error());
    }
  }
  const auto measurement = vm.sev_launch_measure();
  if (!measurement) {
    return refused(OutcomeKind::internal_fault, "launch measurement", measurement.error());
  }
  launched.measurement = *measurement;
  if (Done done = inject_secrets(vm, config, *measurement); !done) {
    return done;
  }
  if (const auto done = vm.sev_launch_finish(); !done) {
    return refused(OutcomeKind::internal_fault, "launch finish", done.error());
  }
  return {};
}

kvm::VmType vm_type(image::Mode mode) {
  switch (mode) {
    case image::Mode::plain:
      return kvm::VmType::plain;
    case image::Mode::sev:
      return kvm::VmType::sev;
    case image::Mode::sev_es:
      return kvm::VmType::sev_es;
    case image::Mode::snp:
      break;
  }
  return kvm::VmType::snp;
}

Done fill(LaunchedVm& launched, kvm::Kvm& kvm, const image::LaunchPlan& plan,
          const Config& config) {
  switch (plan.mode) {
    case image::Mode::plain:
      return load_plain(*launched.vm, plan);
    case image::Mode::sev:
    case image::Mode::sev_es:
      return launch_sev(launched, kvm, plan, config);
    case image::Mode::snp:
      break;
  }
  return launch_protected(launched, plan, config);
}

Done make_vcpus(LaunchedVm& launched, const kvm::Kvm& kvm, kvm::VmType type,
                const image::LaunchPlan& plan) {
  const std::vector<kvm::CpuidEntry> cpuid = guest_cpuid(kvm, type, plan.vcpu_count);
  for (u32 i = 0; i < plan.vcpu_count; ++i) {
    const auto vcpu = launched.vm->create_vcpu(i);
    if (!vcpu) {
      return refused(OutcomeKind::internal_fault, fmt::format("vCPU {}", i), vcpu.error());
    }
    launched.vcpus.push_back(*vcpu);
    (*vcpu)->set_cpuid(cpuid);
    if (const auto done = (*vcpu)->set_state(i == 0 ? plan.entry_state : plan.ap_state); !done) {
      return refused(OutcomeKind::internal_fault, fmt::format("initial state of vCPU {}", i),
                     done.error());
    }
  }
  return {};
}

}  // namespace

Result<LaunchedVm, RunOutcome> launch(kvm::Kvm& kvm, const Config& config,
                                      const image::LaunchPlan& plan, kvm::Observer* observer) {
  const kvm::VmType type = vm_type(plan.mode);
  kvm::VmConfig vm_config{type, observer, config.guest_requests_per_second};
  if (type == kvm::VmType::snp) {
    vm_config.vmsa_features = snp::launch_features(plan.injection) & ~snp::feature::snp_active;
    vm_config.alternate_injection = plan.injection == snp::InjectionMode::alternate;
  }
  auto created = kvm.create_vm(vm_config);
  if (!created) {
    return refused(OutcomeKind::internal_fault, "VM", created.error());
  }
  LaunchedVm launched{std::move(*created), {}, {}, {}};
  if (type == kvm::VmType::snp && !config.certificates.empty()) {
    if (const auto done = launched.vm->enable_certificate_exits(); !done) {
      return refused(OutcomeKind::internal_fault, "certificates", done.error());
    }
  }
  if (const Done done = give_memory(launched, kvm, plan); !done) {
    return Failure{done.error()};
  }
  if (const Done done = make_vcpus(launched, kvm, type, plan); !done) {
    return Failure{done.error()};
  }
  if (const Done filled = fill(launched, kvm, plan, config); !filled) {
    return Failure{filled.error()};
  }
  return std::move(launched);
}

}  // namespace softsnp::vmm
