// RDMSR and WRMSR, whoever asked: a plain guest by intercept, an SNP guest through its GHCB.
#include "arch/x86/msr.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/kvm_clock.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace msr = x86::msr;
namespace efer = x86::efer;

void VcpuImpl::note_level_eoi(std::optional<u8> vector) {
  if (vector && vm_.level_vectors.test(*vector)) {
    level_eoi_ = vector;
  }
}

// After a write to the local APIC that may have been one of its ICR.
void VcpuImpl::send_ipi() {
  const std::optional<u64> icr = apic().take_ipi();
  if (icr && vm_.vcpus.send(message_of_icr(*icr, apic().is_x2apic()), this)) {
    turn_end_ = TurnEnd::sent_ipi;
  }
}

std::optional<u64> VcpuImpl::read_msr(u32 number) {
  ++vm_.counters.msr_reads;
  if (number >= msr::x2apic_first && number <= msr::x2apic_last) {
    return apic().read_msr(number, time());
  }
  switch (number) {
    case msr::tsc:
      return guest_tsc();
    case msr::apic_base:
      return apic().base();
    case msr::tsc_deadline:
      return apic().tsc_deadline();
    case msr::kvm_migration_control:
      return vm_.is_sev() ? std::optional(migration_control_) : std::nullopt;
    default:
      break;
  }
  if (!vm_.hides_registers()) {
    switch (number) {
      case msr::efer:
        return vmcb_.efer & ~efer::svme;
      case msr::pat:
        return vmcb_.g_pat;
      default:
        break;
    }
  }
  return msrs_.read(number);
}

bool VcpuImpl::write_msr(u32 number, u64 value) {
  ++vm_.counters.msr_writes;
  if (number >= msr::x2apic_first && number <= msr::x2apic_last) {
    const Lapic::MsrWrite done = apic().write_msr(number, value, time());
    note_level_eoi(done.level_eoi);
    send_ipi();
    return done.ok;
  }
  switch (number) {
    case msr::tsc:
      vm_.tsc_offset = value - vm_.port().tsc();
      return true;
    case msr::apic_base:
      return apic().set_base(value);
    case msr::tsc_deadline:
      apic().set_tsc_deadline(value, time());
      return true;
    case msr::kvm_system_time:
    case msr::kvm_system_time_new:
    case msr::kvm_wall_clock:
    case msr::kvm_wall_clock_new:
      return write_clock_msr(number, value);
    case msr::kvm_migration_control:
      if (!vm_.is_sev() || (value & ~u64{1}) != 0) {
        return false;
      }
      migration_control_ = value;
      return true;
    default:
      break;
  }
  if (!vm_.hides_registers()) {
    switch (number) {
      case msr::efer:
        return write_efer(value);
      case msr::pat:
        vmcb_.g_pat = value;
        return true;
      default:
        break;
    }
  }
  return msrs_.write(number, value);
}

bool VcpuImpl::write_efer(u64 value) {
  constexpr u64 writable = efer::sce | efer::lme | efer::nxe | efer::ffxsr;
  if ((value & ~(writable | efer::lma)) != 0) {
    return false;
  }
  const bool paging = (vmcb_.cr0 & x86::cr0::pg) != 0;
  if (paging && ((value ^ vmcb_.efer) & efer::lme) != 0) {
    return false;
  }
  vmcb_.efer = (value & writable) | (vmcb_.efer & efer::lma) | efer::svme;
  return true;
}

// linux-boot sheet 3.5: the pages are shared memory; version is even when the page is consistent.
bool VcpuImpl::write_clock_msr(u32 number, u64 value) {
  if (number == msr::kvm_wall_clock || number == msr::kvm_wall_clock_new) {
    msrs_.wall_clock = value;
    const WallClockPage page{2, wall_clock_epoch, 0};
    (void)vm_.memory
        .write_shared(GuestPhysical(value), {reinterpret_cast<const u8*>(&page), sizeof page})
        .ok();
    return true;
  }
  msrs_.system_time = value;
  clock_written_ = false;
  update_clock();
  return true;
}

// The rate never changes, so one write is enough; one that failed (the page is still private) is
// tried again before each entry.
void VcpuImpl::update_clock() {
  if ((msrs_.system_time & 1) == 0 || clock_written_) {
    return;
  }
  clock_version_ += 2;
  const ClockPage page =
      make_clock_page(guest_tsc(), vm_.port().tsc_frequency_hz(), clock_version_);
  clock_written_ = vm_.memory
                       .write_shared(GuestPhysical(msrs_.system_time & ~u64{1}),
                                     {reinterpret_cast<const u8*>(&page), sizeof page})
                       .ok();
}

}  // namespace softsnp::kvm
