// Which VMSA runs: adopting one that the guest has made, and going from one VMPL to another.
// svsm sheet 8.2; KVM 6.12: sev_snp_reload_vmsa(), sev_snp_init_protected_guest_state().
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {

// The page behind the guest's VMSA, wherever the host has it now. Without one the next entry fails.
void VcpuImpl::install_vmsa(VmplState& state) {
  const auto page = vm_.memory.private_page(*state.vmsa_gpa);
  state.vmsa = page ? std::optional(*page) : std::nullopt;
  state.found_at_zap = vm_.memory.zap_count();
  if (&state == &current()) {
    vmcb_.vmsa_pointer = state.vmsa.value_or(SystemPhysical(0)).value();
  }
}

// Before VMRUN: the host may have moved the guest's page since.
VcpuImpl::Exit VcpuImpl::find_vmsa() {
  if (!vm_.hides_registers()) {
    return std::nullopt;
  }
  VmplState& state = current();
  if (state.vmsa_gpa && state.found_at_zap != vm_.memory.zap_count()) {
    install_vmsa(state);
  }
  return state.vmsa ? std::nullopt : fail_entry_without_vmsa();
}

// What AP creation has asked for since. True: there is a VMSA.
bool VcpuImpl::adopt_pending(VmplState& state) {
  if (const auto pending = std::exchange(state.pending, std::nullopt)) {
    state.vmsa.reset();
    state.vmsa_gpa = pending->page;
    state.sev_features = state.pending_features;
    state.trapped = {};
    state.events = {};
    state.interrupt_state = 0;
    state.tpr = 0;
    if (state.vmsa_gpa) {
      install_vmsa(state);
    }
  }
  return state.vmsa.has_value();
}

// A VMSA that cannot be installed leaves the vCPU runnable, as in KVM: its next entry says why.
void VcpuImpl::adopt_requested_vmsa() {
  VmplState& target = states_[number(target_vmpl_)];
  if (!target.pending) {
    return;
  }
  const bool is_created = target.pending->page.has_value();
  (void)adopt_pending(target);
  if (is_created) {
    switch_to(target_vmpl_);
    mp_state_ = MpState::runnable;
  } else if (target_vmpl_ == vmpl_) {
    mp_state_ = MpState::no_vmsa;
  }
}

void VcpuImpl::switch_to(Vmpl vmpl) {
  if (vmpl == vmpl_) {
    return;
  }
  flush_ghcb();  // a request that is answered is of the VMPL that made it
  current().ghcb_msr = vmcb_.ghcb;
  current().interrupt_state = vmcb_.interrupt_state;
  current().tpr = lapic_.tpr();
  vmpl_ = vmpl;
  vmcb_.ghcb = current().ghcb_msr;
  vmcb_.interrupt_state = current().interrupt_state;
  lapic_.set_tpr(current().tpr);
  vmcb_.vmsa_pointer = current().vmsa.value_or(SystemPhysical(0)).value();
}

}  // namespace softsnp::kvm
