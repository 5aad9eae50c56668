// Alternate injection: the interrupts of a VMPL whose APIC VMPL0 emulates. They go to VMPL0 through
// its doorbell page, never into the guest. GHCB sheet 3.4 (8000001B-8000001D), 4.4.
#include <algorithm>

#include "arch/ghcb/doorbell.hpp"
#include "arch/snp/features.hpp"
#include "hypervisor/kvm/vcpu.hpp"
#include "hypervisor/kvm/vmpl_interrupts.hpp"

namespace softsnp::kvm {
namespace {
constexpr u64 first_vector = 31;
}

bool VcpuImpl::is_alternate(Vmpl vmpl) const {
  const u64 features = states_[number(vmpl)].sev_features;
  return (features & snp::feature::alternate_injection) != 0;
}

// A VMSA that waits for its first VMRUN counts.
std::optional<Vmpl> VcpuImpl::alternate_vmpl() const {
  for (unsigned vmpl = 1; vmpl < vmpl_count; ++vmpl) {
    const VmplState& state = states_[vmpl];
    const u64 features = state.pending ? state.pending_features : state.sev_features;
    if ((features & snp::feature::alternate_injection) != 0) {
      return static_cast<Vmpl>(vmpl);
    }
  }
  return std::nullopt;
}

// True: the message is VMPL0's to deliver.
bool VcpuImpl::withhold(const ApicMessage& message) {
  const bool fixed =
      message.mode == DeliveryMode::fixed || message.mode == DeliveryMode::lowest_priority;
  if (!alternate_vmpl() || !(fixed || message.mode == DeliveryMode::nmi)) {
    return false;
  }
  if (!fixed) {
    withheld_.nmi = true;
  } else if (message.vector >= first_vector) {
    (message.trigger == Lapic::Trigger::level ? withheld_.levels : withheld_.edges)
        .set(message.vector);
  }
  present_withheld();
  return true;
}

void VcpuImpl::present_withheld() {
  const std::optional<Vmpl> vmpl = alternate_vmpl();
  if (!vmpl || !withheld_.any() || !has_doorbell(Vmpl::vmpl0)) {
    return;
  }
  Doorbell bell = doorbell(Vmpl::vmpl0);
  auto there = bell.vmpl_interrupts(number(*vmpl));
  if (!there) {
    return;  // the page is not shared any more
  }
  for (unsigned vector = first_vector; vector < 256; ++vector) {
    if (withheld_.levels.test(vector) && present_level(*there, static_cast<u8>(vector))) {
      withheld_.levels.reset(vector);
    }
    if (withheld_.edges.test(vector)) {
      present_edge(*there, static_cast<u8>(vector));
    }
  }
  withheld_.edges.reset();
  if (std::exchange(withheld_.nmi, false)) {
    present_nmi(*there);
  }
  bell.set_vmpl_interrupts(number(*vmpl), *there);
  announce_ = injection_vector_ == 0 ||
              !vmpl0_apic_.deliver(DeliveryMode::fixed, injection_vector_, Lapic::Trigger::edge);
}

// The host cannot see whether the guest's own virtual interrupt ends its halt; hardware can.
void VcpuImpl::set_halt_intercept() {
  const bool idle_only = is_alternate(vmpl_);
  vmcb_.intercept_misc1 = idle_only ? vmcb_.intercept_misc1 & ~svm::misc1::hlt
                                    : vmcb_.intercept_misc1 | svm::misc1::hlt;
  vmcb_.intercept_misc3 = idle_only ? vmcb_.intercept_misc3 | svm::misc3::idle_hlt
                                    : vmcb_.intercept_misc3 & ~svm::misc3::idle_hlt;
}

// An event of the guest's was lost on its way: VMPL0 has to inject it again (hardware sheet 7.3).
VcpuImpl::Exit VcpuImpl::handle_busy() {
  if (!is_alternate(vmpl_) || !states_[0].vmsa) {
    return fail_entry();
  }
  switch_to(Vmpl::vmpl0);
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_configure_injection() {
  const u64 vector = ghcb_.request.exit_info1;
  if (vmpl_ != Vmpl::vmpl0 || vector < first_vector || vector > 255) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  injection_vector_ = static_cast<u8>(vector);
  return std::nullopt;
}

// The VMPL that VMPL0 speaks of in the two events below, if it may.
std::optional<Vmpl> VcpuImpl::asked_vmpl() const {
  const u64 vmpl = ghcb::alternate::vmpl(ghcb_.request.exit_info1);
  const std::optional<Vmpl> known = alternate_vmpl();
  const bool sound = vmpl_ == Vmpl::vmpl0 && known && number(*known) == vmpl &&
                     (ghcb_.request.exit_info1 >> 20) == 0;
  return sound ? known : std::nullopt;
}

// From here on the host's APIC is the guest's: with what VMPL0 has left in the descriptor.
VcpuImpl::Exit VcpuImpl::event_disable_alternate_injection() {
  namespace alternate = ghcb::alternate;
  namespace shown = svm::interrupt_state;
  const std::optional<Vmpl> vmpl = asked_vmpl();
  const auto left = vmpl ? doorbell(Vmpl::vmpl0).vmpl_interrupts(number(*vmpl)) : std::nullopt;
  if (!left) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  const u64 info = ghcb_.request.exit_info1;
  const HandedOver taken = take_over(*left);
  lapic_.take_over(taken.irr, taken.isr, alternate::tpr(info));
  nmi_pending_ = nmi_pending_ || taken.nmi || withheld_.nmi;
  VmplState& state = states_[number(*vmpl)];
  state.sev_features &= ~snp::feature::alternate_injection;
  state.pending_features &= ~snp::feature::alternate_injection;
  state.tpr = alternate::tpr(info);
  state.interrupt_state =
      ((info & alternate::interrupt_shadow) != 0 ? shown::shadow : 0) |
      ((info & alternate::interrupts_enabled) != 0 ? shown::guest_interrupt_mask : 0);
  for (unsigned vector = first_vector; vector < 256; ++vector) {
    if (withheld_.edges.test(vector) || withheld_.levels.test(vector)) {
      (void)lapic_.deliver(
          DeliveryMode::fixed, static_cast<u8>(vector),
          withheld_.levels.test(vector) ? Lapic::Trigger::level : Lapic::Trigger::edge);
    }
  }
  withheld_ = {};
  return std::nullopt;
}

// Of a level-triggered interrupt: the device may be asked again, the next may be presented.
VcpuImpl::Exit VcpuImpl::event_specific_eoi() {
  const u64 info = ghcb_.request.exit_info1;
  if (!asked_vmpl() || get_bits(info, 15, 8) != 0) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  note_level_eoi(ghcb::alternate::vector(info));
  present_withheld();
  return std::nullopt;
}

}  // namespace softsnp::kvm
