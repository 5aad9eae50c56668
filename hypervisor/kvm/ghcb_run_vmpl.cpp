// Another VMPL of the same vCPU is to run: by MSR and by event. The caller's answer is stored
// before the exchange, for it reads it when it runs again. GHCB sheet 3.9; svsm sheet 8.2,
// "RUN_VMPL".
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {
constexpr u32 run_vmpl_refused = 1;
}

// A VMSA that AP creation has named for it is taken now.
bool VcpuImpl::can_run_vmpl(u64 vmpl) {
  if (!vm_.is_snp() || vmpl >= vmpl_count) {
    return false;
  }
  return vmpl == number(vmpl_) || adopt_pending(states_[vmpl]);
}

VcpuImpl::Exit VcpuImpl::run_vmpl_by_msr(u64 request, u8 vmpl) {
  const bool possible = can_run_vmpl(vmpl);
  answer_msr(request, ghcb::run_vmpl_response(possible ? 0 : run_vmpl_refused));
  if (possible) {
    switch_to(static_cast<Vmpl>(vmpl));
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_run_vmpl() {
  const u64 vmpl = ghcb_.request.exit_info1;
  if (!can_run_vmpl(vmpl)) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  switch_to(static_cast<Vmpl>(vmpl));
  return std::nullopt;
}

}  // namespace softsnp::kvm
