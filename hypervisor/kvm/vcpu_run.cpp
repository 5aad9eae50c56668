// KVM_RUN: what happens around VMRUN.
#include <algorithm>
#include <cerrno>

#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {

// The control area up to the last field we use, and the save area of plain guests.
constexpr usize control_bytes = 0x160;
constexpr usize save_offset = svm::vmcb_control_bytes, save_end = 0x680;

}  // namespace

ApicTime VcpuImpl::time() const {
  return {vm_.port().tsc(), vm_.port().tsc_frequency_hz(), vm_.tsc_offset};
}

KvmExit VcpuImpl::run(u64 deadline_tsc) {
  while (true) {
    TurnResult result = take_turn(deadline_tsc, deadline_tsc);
    if (result.exit) {
      return *std::move(result.exit);
    }
    if (result.end == TurnEnd::waits) {
      if (Exit exit = idle(deadline_tsc)) {
        return *std::move(exit);
      }
    }
  }
}

VcpuImpl::TurnResult VcpuImpl::take_turn(u64 end_tsc, u64 deadline_tsc) {
  turn_end_.reset();
  if (Exit exit = resume()) {
    return {std::move(exit)};
  }
  while (true) {
    if (Exit exit = before_entry(deadline_tsc)) {
      return {std::move(exit)};
    }
    if (!stop_waiting()) {
      return {std::nullopt, TurnEnd::waits};
    }
    if (turn_end_) {
      return {std::nullopt, *std::exchange(turn_end_, std::nullopt)};
    }
    if (vm_.port().tsc() >= end_tsc) {
      return {std::nullopt, TurnEnd::time_over};
    }
    if (Exit exit = enter(quantum(end_tsc))) {
      return {std::move(exit)};
    }
    if (Exit exit = handle_exit()) {
      return {std::move(exit)};
    }
  }
}

void VcpuImpl::scheduled_in() {
  vmcb_.pause_filter_count = pause_filter_count;
}

// What the VMM has to hear of before the guest runs.
VcpuImpl::Exit VcpuImpl::before_entry(u64 deadline_tsc) {
  if (level_eoi_) {
    return KvmExit(IoapicEoiExit{*std::exchange(level_eoi_, std::nullopt)});
  }
  const u64 now = vm_.port().tsc();
  if (now >= deadline_tsc || (vm_.next_device_event != 0 && now >= vm_.next_device_event)) {
    return KvmExit(InterruptedExit{});
  }
  lapic_.advance(time());
  nmi_pending_ = lapic_.take_nmi() || nmi_pending_;
  if (extint_window_wanted_ && ready_for_extint()) {
    return KvmExit(InterruptedExit{});
  }
  if (!has_state_ && mp_state_ == MpState::runnable) {
    return KvmExit(InternalErrorExit{ENOEXEC, "the vCPU has no state to run"});
  }
  return std::nullopt;
}

u64 VcpuImpl::quantum(u64 until_tsc) const {
  // An NMI that finds the door closed tries again after one instruction: no intercept tells when.
  if ((nmi_allowed() && injection_allowed()) || current().events.iret_at) {
    return 1;
  }
  const u64 now = vm_.port().tsc();
  u64 until = until_tsc;
  if (vm_.next_device_event != 0) {
    until = std::min(until, vm_.next_device_event);
  }
  if (lapic_.next_timer() != 0) {
    until = std::min(until, lapic_.next_timer());
  }
  return until > now ? until - now : 1;
}

// What an earlier VMRUN left in the core's TLB and must not be found any more: KVM's pre_sev_run()
// and mappings that have shrunk. Plain VMs, whose vCPUs share an ASID here, are treated alike.
void VcpuImpl::prepare_tlb() {
  const u64 shrinks = vm_.memory.shrink_count();
  const bool shrunk = flushed_at_shrink_ != shrinks;
  const bool other_vmcb = vm_.core_asids.enter(core_, vmcb_.asid, vmcb_page_);
  vmcb_.tlb_control =
      static_cast<u8>(shrunk || other_vmcb ? svm::TlbControl::this_asid : svm::TlbControl::none);
  flushed_at_shrink_ = shrinks;
}

VcpuImpl::Exit VcpuImpl::enter(u64 max_instructions) {
  flush_ghcb();
  update_clock();
  prepare_injection();
  prepare_tlb();
  if (Exit exit = find_vmsa()) {
    return exit;
  }
  vmcb_.clean_bits = 0;
  vmcb_.tsc_offset = vm_.tsc_offset;

  host::HostMemory& memory = vm_.host.memory;
  machine::HostPort& port = vm_.port();
  memory.store_own(vmcb_page_, std::span<const u8>(vmcb_.raw, control_bytes));
  const bool is_plain = !vm_.hides_registers();
  if (is_plain) {
    memory.store_own(vmcb_page_ + save_offset,
                     std::span<const u8>(vmcb_.raw + save_offset, save_end - save_offset));
    port.write_registers(core_, registers_);
    if (!port.vmload(core_, vmcb_page_)) {
      return KvmExit(FailEntryExit{0, "VMLOAD raised an exception"});
    }
  }
  ++vm_.counters.vmruns;
  const auto ran = port.vmrun(core_, vmcb_page_, max_instructions);
  if (!ran) {
    return KvmExit(FailEntryExit{
        0, ran.error() == machine::HostException::gp
               ? "VMRUN raised #GP: the VMCB page is not the host's, or VM_HSAVE_PA is not set"
               : "VMRUN raised #UD: EFER.SVME is clear"});
  }
  if (is_plain) {
    if (!port.vmsave(core_, vmcb_page_)) {
      return KvmExit(FailEntryExit{0, "VMSAVE raised an exception"});
    }
    port.read_registers(core_, registers_);
    memory.load_own(vmcb_page_ + save_offset,
                    std::span<u8>(vmcb_.raw + save_offset, save_end - save_offset));
  }
  memory.load_own(vmcb_page_, std::span<u8>(vmcb_.raw, control_bytes));
  sync_tpr_from_vmcb();
  note_iret_progress();
  take_interrupted_event();
  return std::nullopt;
}

}  // namespace softsnp::kvm
