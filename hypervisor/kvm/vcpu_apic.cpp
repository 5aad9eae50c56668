// The vCPU's local APICs: one for the guest, and VMPL0's own if that runs under restricted
// injection. svsm sheet 8.2, [K26]: an APIC a plane, devices belong to the guest's.
#include <algorithm>

#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {

bool VcpuImpl::has_lower_vmpl() const {
  return std::any_of(states_.begin() + 1, states_.end(), [](const VmplState& state) {
    return state.vmsa.has_value() || state.pending.has_value();
  });
}

// A device's interrupts are VMPL0's as long as there is nobody below it.
bool VcpuImpl::is_for_vmpl0(const VcpuImpl* from) const {
  return is_restricted(Vmpl::vmpl0) &&
         (from == nullptr ? !has_lower_vmpl() : from->uses_own_apic());
}

// INIT and SIPI are the vCPU's, whoever sends them.
bool VcpuImpl::accept(const ApicMessage& message, const VcpuImpl* from) {
  const bool starts = message.mode == DeliveryMode::init || message.mode == DeliveryMode::startup;
  if (!starts && is_for_vmpl0(from)) {
    return vmpl0_apic_.deliver(message.mode, message.vector, message.trigger);
  }
  return withhold(message) || lapic_.deliver(message.mode, message.vector, message.trigger);
}

void VcpuImpl::advance_timers() {
  lapic_.advance(time());
  vmpl0_apic_.advance(time());
  nmi_pending_ = lapic_.take_nmi() || nmi_pending_;
  vmpl0_nmi_pending_ = vmpl0_apic_.take_nmi() || vmpl0_nmi_pending_;
}

u64 VcpuImpl::next_timer(bool that_interrupts) const {
  u64 next = 0;
  for (const Lapic* apic : {&lapic_, &vmpl0_apic_}) {
    const u64 timer = !that_interrupts || apic->timer_can_interrupt() ? apic->next_timer() : 0;
    next = next == 0 || (timer != 0 && timer < next) ? timer : next;
  }
  return next;
}

void VcpuImpl::inject_nmi() {
  (is_for_vmpl0(nullptr) ? vmpl0_nmi_pending_ : nmi_pending_) = true;
}

}  // namespace softsnp::kvm
