// The vCPU's local APICs: one for the guest, and VMPL0's own if that runs under restricted
// injection. svsm sheet 8.2, [K26]: an APIC a plane, devices belong to the guest's.
#include <algorithm>

#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {

bool VcpuImpl::vmpl0_has_own_apic() const {
  return is_restricted(Vmpl::vmpl0);
}

bool VcpuImpl::has_lower_vmpl() const {
  return std::any_of(states_.begin() + 1, states_.end(), [](const VmplState& state) {
    return state.vmsa.has_value() || state.pending.has_value();
  });
}

const Lapic& VcpuImpl::apic() const {
  return vmpl_ == Vmpl::vmpl0 && vmpl0_has_own_apic() ? vmpl0_apic_ : lapic_;
}

// A device's interrupts are VMPL0's as long as there is nobody below it.
const Lapic& VcpuImpl::apic_for(const VcpuImpl* from) const {
  if (!vmpl0_has_own_apic()) {
    return lapic_;
  }
  const bool for_guest = from == nullptr ? has_lower_vmpl() : &from->apic() != &from->vmpl0_apic_;
  return for_guest ? lapic_ : vmpl0_apic_;
}

// INIT and SIPI are the vCPU's, whoever sends them.
bool VcpuImpl::accept(const ApicMessage& message, const VcpuImpl* from) {
  const bool starts = message.mode == DeliveryMode::init || message.mode == DeliveryMode::startup;
  const bool for_guest = starts || &apic_for(from) == &lapic_;
  if (for_guest && withhold(message)) {
    return true;
  }
  return (for_guest ? lapic_ : vmpl0_apic_).deliver(message.mode, message.vector, message.trigger);
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
  (vmpl0_has_own_apic() && !has_lower_vmpl() ? vmpl0_nmi_pending_ : nmi_pending_) = true;
}

}  // namespace softsnp::kvm
