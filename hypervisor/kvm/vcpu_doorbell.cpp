// Restricted injection: events go into the doorbell page, #HV says so. GHCB sheet 3.8, 4.4; KVM's
// restricted-injection series (posted 2024, again 2026). That interrupts are off or in a shadow
// holds nothing back here: the guest sees to it.
#include "arch/ghcb/doorbell.hpp"
#include "arch/snp/features.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {

bool VcpuImpl::is_restricted(Vmpl vmpl) const {
  const u64 features = states_[number(vmpl)].sev_features;
  return (features & snp::feature::restricted_injection) != 0;
}

Doorbell VcpuImpl::doorbell(Vmpl vmpl) {
  return Doorbell(vm_.memory, states_[number(vmpl)].doorbell);
}

bool VcpuImpl::has_doorbell(Vmpl vmpl) const {
  return is_restricted(vmpl) && states_[number(vmpl)].doorbell.page.has_value();
}

// There is something to say that the guest would take.
bool VcpuImpl::can_ring(Vmpl vmpl) {
  if (!has_doorbell(vmpl)) {
    return false;
  }
  const bool is_vmpl0 = vmpl == Vmpl::vmpl0;
  const Lapic& events = is_vmpl0 ? vmpl0_apic_ : lapic_;
  const Doorbell bell = doorbell(vmpl);
  return (is_vmpl0 && announce_) ||
         ((is_vmpl0 ? vmpl0_nmi_pending_ : nmi_pending_) && bell.takes_nmi()) ||
         (events.pending_vector() && bell.takes_vector());
}

// NMI before the vector; the order in which they are seen is the guest's. True: #HV is in EVENTINJ.
bool VcpuImpl::ring_doorbell() {
  if (!has_doorbell(vmpl_)) {
    return false;
  }
  Doorbell bell = doorbell(vmpl_);
  const bool is_vmpl0 = vmpl_ == Vmpl::vmpl0;
  bool rings = is_vmpl0 && std::exchange(announce_, false) && bell.signal();
  bool& nmi = is_vmpl0 ? vmpl0_nmi_pending_ : nmi_pending_;
  if (nmi && bell.takes_nmi()) {
    nmi = false;
    ++vm_.counters.nmis;
    rings = bell.post_nmi() || rings;
  }
  const std::optional<u8> vector = apic().pending_vector();
  if (vector && bell.takes_vector()) {
    apic().acknowledge(*vector);
    ++vm_.counters.interrupts;
    rings = bell.post_vector(*vector, apic().serves_only_edge(*vector)) || rings;
  } else if (apic().has_requests()) {
    bell.withdraw_eoi();
  }
  vmcb_.eventinj = rings ? ghcb::hv_event : 0;
  return rings;
}

// After each VMRUN: the EOI by NoEoiRequired makes no exit of its own.
void VcpuImpl::note_quiet_eoi() {
  if (has_doorbell(vmpl_) && doorbell(vmpl_).take_eoi()) {
    note_level_eoi(apic().end_of_interrupt());
  }
}

// The guest's VMPL stays where it is; VMPL0 comes back from its RUN_VMPL.
void VcpuImpl::preempt_for_vmpl0() {
  if (vmpl_ != Vmpl::vmpl0 && can_ring(Vmpl::vmpl0)) {
    switch_to(Vmpl::vmpl0);
  }
}

// #UD and #GP for an instruction that the guest has us emulate: injected where that is possible.
void VcpuImpl::raise_in_guest(x86::Vector vector) {
  const bool is_gp = vector == x86::Vector::gp;
  if (injection_allowed()) {
    queue_exception(vector, is_gp ? std::optional<u32>(0) : std::nullopt);
  } else {
    respond(static_cast<u64>(ghcb::Response::raise_exception),
            is_gp ? ghcb::raise_gp : ghcb::raise_ud);
  }
}

// Known where the feature bitmap says so.
VcpuImpl::Exit VcpuImpl::event_of_injection() {
  struct Row {
    ghcb::Event event;
    u64 needs;
    Exit (VcpuImpl::*handle)();
  };
  using ghcb::Event;
  namespace feature = ghcb::feature;
  static constexpr Row rows[] = {
      {Event::hv_doorbell_page, feature::restricted_injection, &VcpuImpl::event_doorbell_page},
      {Event::hv_ipi, feature::restricted_injection, &VcpuImpl::event_hv_ipi},
      {Event::hv_timer, feature::restricted_injection_timer, &VcpuImpl::event_hv_timer},
      {Event::configure_injection, feature::extended_interrupts,
       &VcpuImpl::event_configure_injection},
      {Event::disable_alternate_injection, feature::extended_interrupts,
       &VcpuImpl::event_disable_alternate_injection},
      {Event::specific_eoi, feature::extended_interrupts, &VcpuImpl::event_specific_eoi}};
  for (const Row& row : rows) {
    if (row.event == ghcb_.request.event() && (features() & row.needs) != 0) {
      return (this->*row.handle)();
    }
  }
  respond_malformed(ghcb::Malformed::invalid_event);
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_doorbell_page() {
  const auto answer = doorbell(vmpl_).request(ghcb_.request.exit_info1, ghcb_.request.exit_info2);
  if (answer) {
    respond(0, *answer);
    present_withheld();
  } else {
    respond_malformed(answer.error());
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_hv_ipi() {
  const u64 icr = ghcb_.request.exit_info1;
  if (!apic().is_enabled() || !Lapic::is_x2apic_icr(icr)) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  if (vm_.vcpus.send(message_of_icr(icr, true), this)) {
    turn_end_ = TurnEnd::sent_ipi;
  }
  return std::nullopt;
}

// Our reading of an event that no public source describes (arch/ghcb/doorbell.hpp).
VcpuImpl::Exit VcpuImpl::event_hv_timer() {
  const u64 vector = ghcb_.request.exit_info2;
  if (!apic().is_software_enabled() || vector < ghcb::hv_timer::first_vector ||
      vector > ghcb::hv_timer::last_vector) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  apic().set_deadline_timer(static_cast<u8>(vector), ghcb_.request.exit_info1, time());
  return std::nullopt;
}

}  // namespace softsnp::kvm
