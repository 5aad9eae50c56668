// Waiting: what a vCPU waits for, and what ends it. KVM: vcpu_block(), kvm_vcpu_has_events().
#include <algorithm>

#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {

const char* name(MpState state) {
  switch (state) {
    case MpState::runnable:
      return "runnable";
    case MpState::halted:
      return "halted";
    case MpState::uninitialized:
      return "uninitialized";
    case MpState::init_received:
      return "INIT received";
    case MpState::ap_reset_hold:
      return "AP reset hold";
    case MpState::no_vmsa:
      return "no VMSA";
  }
  return "unknown";
}

bool VcpuImpl::halted() const {
  return mp_state_ == MpState::halted && next_timer(true) == 0;
}

bool VcpuImpl::has_wake_event() {
  if (extint_window_wanted_ && ready_for_extint()) {
    return true;  // the VMM has an interrupt for it
  }
  if (can_ring(Vmpl::vmpl0) || can_ring(vmpl_)) {
    return true;
  }
  if (!injection_allowed()) {
    return false;
  }
  return nmi_allowed() || (interrupt_flag() && (extint_ || apic().pending_vector()));
}

// Asked for by others: INIT, SIPI where one is waited for, another VMSA.
bool VcpuImpl::has_request() const {
  const LapicState& apic = lapic_.state();
  return vmsa_update_wanted_ || apic.init_request ||
         (apic.startup_request && mp_state_ == MpState::init_received);
}

bool VcpuImpl::poll() {
  advance_timers();
  if (mp_state_ == MpState::runnable || level_eoi_ || has_request()) {
    return true;
  }
  const bool wakes = mp_state_ == MpState::halted || mp_state_ == MpState::ap_reset_hold;
  return wakes && has_wake_event();
}

// True: it runs now.
bool VcpuImpl::stop_waiting() {
  accept_init_and_startup();
  if (std::exchange(vmsa_update_wanted_, false)) {
    reset();
  }
  const bool wakes = mp_state_ == MpState::halted || mp_state_ == MpState::ap_reset_hold;
  if (wakes && has_wake_event()) {
    mp_state_ = MpState::runnable;
  }
  return mp_state_ == MpState::runnable;
}

bool VcpuImpl::can_be_interrupted() const {
  const bool wakes = mp_state_ == MpState::halted || mp_state_ == MpState::ap_reset_hold;
  return wakes && ((interrupt_flag() && injection_allowed()) || has_doorbell(vmpl_) ||
                   has_doorbell(Vmpl::vmpl0));
}

u64 VcpuImpl::next_wake() const {
  return can_be_interrupted() ? next_timer(true) : 0;
}

std::string VcpuImpl::describe_wait() const {
  switch (mp_state_) {
    case MpState::runnable:
      return "runs";
    case MpState::halted:
      if (!injection_allowed()) {
        return "HLT at VMPL" + std::to_string(number(vmpl_)) +
               (is_restricted() ? " under restricted" : " under alternate") + " injection" +
               (has_doorbell(is_restricted() ? vmpl_ : Vmpl::vmpl0)
                    ? ""
                    : ", and there is no doorbell page through which to say anything");
      }
      return interrupt_flag() ? "HLT"
                              : "HLT with interrupts disabled, and nothing that could send an NMI";
    case MpState::uninitialized:
      return vm_.is_snp() ? "waits for AP creation, or INIT and SIPI" : "waits for INIT and SIPI";
    case MpState::init_received:
      return "waits for SIPI";
    case MpState::ap_reset_hold:
      return "AP reset hold, waits for INIT and SIPI";
    case MpState::no_vmsa:
      return "has no VMSA, waits for AP creation";
  }
  return "unknown";
}

// Time jumps to the next event.
VcpuImpl::Exit VcpuImpl::idle(u64 deadline_tsc) {
  if (!can_be_interrupted()) {
    return KvmExit(NoProgressExit{"the guest stands still for ever: " + describe_wait()});
  }
  u64 until = deadline_tsc;
  if (vm_.next_device_event != 0) {
    until = std::min(until, vm_.next_device_event);
  }
  if (const u64 wake = next_wake(); wake != 0) {
    until = std::min(until, wake);
  }
  vm_.port().idle_until(until);
  return std::nullopt;
}

}  // namespace softsnp::kvm
