// DELETE_VCPU. SVSM sheet 4.4.
#include "guest/svsm/permissions.hpp"
#include "guest/svsm/request.hpp"
#include "guest/svsm/translations.hpp"

namespace softsnp::svsm {
namespace {

constexpr u32 eax_in_use = static_cast<u32>(snp::RmpResult::fail_inuse);

// After this no VMRUN takes it. SVME that comes back was saved by a processor that ran it.
bool stop(Platform& platform, GuestPhysical vmsa) {
  platform.exchange_runnable(vmsa, false);
  return !platform.exchange_runnable(vmsa, false);
}

}  // namespace

ResultCode delete_vcpu(Request& request) {
  const GuestPhysical vmsa(request.registers.rcx);
  if (!vmsa.is_page_aligned()) {
    return ResultCode::invalid_parameter;
  }
  State& state = request.state;
  VmsaRecord* const record = state.vcpus.record_of(vmsa);
  if (record == nullptr || record->startup) {
    return ResultCode::invalid_parameter;
  }
  if (!stop(request.platform, vmsa)) {
    return fail_in_use;
  }
  const RmpAnswer revoked = revoke(request.platform, vmsa, PageSize::size_4k);
  if (!revoked.succeeded()) {
    request.platform.exchange_runnable(vmsa, true);
    return revoked.eax == eax_in_use ? fail_in_use : result_of(revoked);
  }
  flush_translations(request.platform, request.state);
  const RmpAnswer granted = grant(request.platform, vmsa, PageSize::size_4k, state.guest_vmpl);
  GuestVcpu* const vcpu = state.vcpus.find(record->apic_id);
  if (vcpu != nullptr && vcpu->vmsa == vmsa) {
    vcpu->vmsa = vcpu->calling_area = GuestPhysical(0);
  }
  *record = {};
  return result_of(granted);
}

}  // namespace softsnp::svsm
