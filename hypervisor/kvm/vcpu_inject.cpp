// Interrupts, NMIs and exceptions on their way into the guest. APM2 15.20-15.21; KVM's
// inject_pending_event; GHCB sheet 3.4 for NMIs.
#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace event = svm::event;
namespace vintr = svm::vintr;

// SEV-ES hides RFLAGS; hardware shows IF in the interrupt state (hardware sheet 7.4).
bool VcpuImpl::interrupt_flag() const {
  return vm_.hides_registers()
             ? (vmcb_.interrupt_state & svm::interrupt_state::guest_interrupt_mask) != 0
             : (vmcb_.rflags & x86::rflags::if_) != 0;
}

bool VcpuImpl::in_shadow() const {
  return (vmcb_.interrupt_state & svm::interrupt_state::shadow) != 0;
}

bool VcpuImpl::ready_for_extint() const {
  const EventState& events = current().events;
  return has_state_ && injection_allowed() && interrupt_flag() && !in_shadow() && !extint_ &&
         events.interrupted == 0 && !events.exception && !nmi_allowed() && apic().accepts_extint();
}

// By EVENTINJ, of whatever there is. Under restricted injection events go through the doorbell
// page, under alternate injection through VMPL0 (hardware sheet 6.4).
bool VcpuImpl::injection_allowed() const {
  constexpr u64 closed = snp::feature::restricted_injection | snp::feature::alternate_injection;
  return (current().sev_features & closed) == 0;
}

void VcpuImpl::queue_exception(x86::Vector vector, std::optional<u32> error_code) {
  current().events.exception = event::make(static_cast<u8>(vector), event::Type::exception,
                                           error_code.has_value(), error_code.value_or(0));
}

// An event whose delivery was cut short is delivered again; what the guest's own instruction or a
// re-executed #VC raises comes back by itself (KVM's svm_complete_interrupts).
void VcpuImpl::take_interrupted_event() {
  const u64 info = vmcb_.exitintinfo;
  current().events.interrupted = 0;
  if ((info & event::valid) == 0 || is_alternate(vmpl_)) {
    return;  // alternate injection: VMPL0 finds it in the VMSA
  }
  const auto type = static_cast<event::Type>(get_bits(info, 10, 8));
  const u8 vector = static_cast<u8>(info);
  const auto is = [vector](x86::Vector v) { return vector == static_cast<u8>(v); };
  const bool comes_back = type == event::Type::software ||
                          (type == event::Type::exception &&
                           (is(x86::Vector::vc) || is(x86::Vector::bp) || is(x86::Vector::of)));
  if (!comes_back) {
    current().events.interrupted = info;
  }
}

void VcpuImpl::request_interrupt_window(bool wanted) {
  vmcb_.vintr &= ~(vintr::v_irq | vintr::prio | vintr::ign_tpr | vintr::vector);
  vmcb_.intercept_misc1 &= ~svm::misc1::vintr;
  if (wanted) {
    vmcb_.vintr |= vintr::v_irq | vintr::prio | vintr::ign_tpr;
    vmcb_.intercept_misc1 |= svm::misc1::vintr;
  }
}

// True if something was put into EVENTINJ.
bool VcpuImpl::inject_event() {
  if (current().events.interrupted != 0) {
    vmcb_.eventinj = std::exchange(current().events.interrupted, 0);
    return true;
  }
  if (current().events.exception) {
    vmcb_.eventinj = *current().events.exception;
    current().events.exception.reset();
    return true;
  }
  if (is_restricted()) {
    return ring_doorbell();
  }
  if (!injection_allowed()) {
    return false;
  }
  if (nmi_allowed() && !in_shadow()) {
    nmi_pending_ = false;
    current().events.nmi_masked = true;
    // A plain guest unmasks NMIs by IRET, an SEV-ES guest by an event (hardware sheet 7.4).
    if (!vm_.hides_registers()) {
      vmcb_.intercept_misc1 |= svm::misc1::iret;
    }
    vmcb_.eventinj = event::make(static_cast<u8>(x86::Vector::nmi), event::Type::nmi);
    ++vm_.counters.nmis;
    return true;
  }
  if (!interrupt_flag() || in_shadow()) {
    return false;
  }
  std::optional<u8> vector = std::exchange(extint_, std::nullopt);
  if (!vector && (vector = apic().pending_vector())) {
    apic().acknowledge(*vector);
  }
  if (!vector) {
    return false;
  }
  vmcb_.eventinj = event::make(*vector, event::Type::interrupt);
  ++vm_.counters.interrupts;
  return true;
}

void VcpuImpl::prepare_injection() {
  vmcb_.eventinj = 0;
  if (inject_event()) {
    vm_.observer.injection({index_, vmcb_.eventinj, vmpl_});
  }
  const bool waiting = injection_allowed() && (extint_ || apic().pending_vector() ||
                                               (extint_window_wanted_ && apic().accepts_extint()));
  request_interrupt_window(waiting);
  sync_tpr_to_vmcb();
}

// An intercepted IRET has not run yet: NMIs stay masked until RIP has left it.
void VcpuImpl::note_iret_progress() {
  if (current().events.iret_at && vmcb_.rip != *current().events.iret_at) {
    current().events.iret_at.reset();
    current().events.nmi_masked = false;
  }
}

void VcpuImpl::sync_tpr_to_vmcb() {
  entry_tpr_ = apic().tpr() >> 4;
  vmcb_.vintr = with_bits(vmcb_.vintr, 7, 0, entry_tpr_);
}

// MOV CR8 changes V_TPR without an exit.
void VcpuImpl::sync_tpr_from_vmcb() {
  const u8 tpr = static_cast<u8>(vmcb_.vintr & 0xF);
  if (tpr != entry_tpr_) {
    apic().set_tpr(static_cast<u8>(tpr << 4));
  }
}

}  // namespace softsnp::kvm
