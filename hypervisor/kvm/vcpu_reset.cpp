// INIT and SIPI. APM2 14.1, 16.5; KVM: kvm_apic_accept_events(), kvm_vcpu_reset(),
// sev_vcpu_deliver_sipi_vector().
#include "arch/ghcb/msr_protocol.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/plain_registers.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {

// A SIPI that nobody waits for is lost.
void VcpuImpl::accept_init_and_startup() {
  if (lapic_.take_init()) {
    reset();
    const bool is_bsp = (lapic_.base() & apic_base::bsp) != 0;
    mp_state_ = is_bsp ? MpState::runnable : MpState::init_received;
  }
  const std::optional<u8> vector = lapic_.take_startup();
  if (vector && mp_state_ == MpState::init_received) {
    start(*vector);
    mp_state_ = MpState::runnable;
  }
}

// As far as the host can: registers in a VMSA stay as they are, unless there is another VMSA.
void VcpuImpl::reset() {
  lapic_.reset();
  nmi_pending_ = false;
  extint_.reset();
  current().events = {};
  request_interrupt_window(false);
  vmcb_.intercept_misc1 &= ~svm::misc1::iret;
  if (vm_.hides_registers()) {
    adopt_requested_vmsa();
    return;
  }
  const machine::CpuidResult signature = cpuid_.lookup(1, 0, {});
  reset_registers(signature.eax, vmcb_, registers_);
  has_state_ = true;
}

void VcpuImpl::start(u8 vector) {
  if (!vm_.hides_registers()) {
    vmcb_.cs.selector = static_cast<u16>(vector << 8);
    vmcb_.cs.base = u64{vector} << 12;
    vmcb_.rip = 0;
    return;
  }
  // The first SIPI starts what the VMM put into the launch VMSA, later ones answer the hold, and
  // the guest goes to its vector by itself.
  if (!std::exchange(received_first_sipi_, true)) {
    return;
  }
  switch (reset_hold_) {
    case ResetHold::by_event:
      ghcb_.response2 = 1;
      break;
    case ResetHold::by_msr:
      vmcb_.ghcb = ghcb::ap_reset_hold_response(1);
      break;
    case ResetHold::none:
      break;
  }
}

}  // namespace softsnp::kvm
