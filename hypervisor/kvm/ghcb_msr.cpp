// VMGEXIT: which protocol, and the MSR protocol. GHCB sheet 2.
#include <cerrno>

#include "arch/ghcb/page_state_change.hpp"
#include "arch/snp/features.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
using namespace ghcb;  // the requests, by their names

VcpuImpl::Exit VcpuImpl::handle_vmgexit() {
  const u64 request = vmcb_.ghcb;
  if ((request & page_offset_mask) == 0) {
    ++vm_.counters.vmgexit_page;
    return handle_page_request(GuestPhysical(request));
  }
  ++vm_.counters.vmgexit_msr;
  return handle_msr_request(request);
}

// KVM 6.12 has the first two only; the rest is of its successors (GHCB sheet 2.2, svsm sheet 8.2).
u64 VcpuImpl::features() const {
  constexpr u64 of_snp =
      feature::sev_snp | feature::ap_creation | feature::apic_id_list | feature::multi_vmpl;
  u64 configured = 0;
  if ((vm_.vmsa_features & snp::feature::restricted_injection) != 0) {
    configured |= feature::restricted_injection | feature::restricted_injection_timer;
  }
  if (vm_.alternate_injection) {
    configured |= feature::extended_interrupts;
  }
  return vm_.is_snp() ? of_snp | configured : 0;
}

void VcpuImpl::answer_msr(u64 request, u64 answer) {
  vmcb_.ghcb = answer;
  VmgexitEvent event;
  event.vcpu = index_;
  event.vmpl = vmpl_;
  event.msr_protocol = true;
  event.code = request & page_offset_mask;
  event.name = ghcb::name(static_cast<MsrCode>(event.code));
  event.request = request;
  event.answer = answer;
  vm_.observer.vmgexit(event);
}

VcpuImpl::Exit VcpuImpl::terminate_by_msr(u64 request, const TerminationRequest& reason) {
  answer_msr(request, request);
  return KvmExit(TerminationExit{reason.reason_set, reason.reason_code, 0});
}

// MP state AP_RESET_HOLD, unless something has come already. The answer says "spurious" until
// SIPI makes it another (start()). KVM: kvm_emulate_ap_reset_hold().
VcpuImpl::Exit VcpuImpl::reset_hold(ResetHold kind) {
  reset_hold_ = kind;
  if (!has_request() && !has_wake_event()) {
    mp_state_ = MpState::ap_reset_hold;
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::handle_msr_request(u64 request) {
  const auto decoded = decode_msr_request(request);
  if (!decoded) {
    // The MSR stays as it is: the guest sees its own request and fails (GHCB sheet 2.1).
    answer_msr(request, request);
    return std::nullopt;
  }
  const auto answer = [&](u64 value) -> Exit {
    answer_msr(request, value);
    return std::nullopt;
  };
  return decoded->visit(
      [&](const PageProtocol&) -> Exit { return std::nullopt; },
      [&](const SevInformationRequest&) -> Exit { return answer(sev_information()); },
      [&](const CpuidRequest& r) -> Exit {
        ++vm_.counters.cpuid;
        const machine::CpuidResult result = cpuid_.lookup(r.function, 0, cpuid_state());
        const u32 values[] = {result.eax, result.ebx, result.ecx, result.edx};
        return answer(cpuid_response(values[static_cast<unsigned>(r.which) & 3], r.which));
      },
      [&](const ApResetHoldRequest&) -> Exit {
        vmcb_.ghcb = ap_reset_hold_response(0);
        return reset_hold(ResetHold::by_msr);
      },
      [&](const PreferredGhcbRequest&) -> Exit { return answer(no_preferred_ghcb); },
      [&](const RegisterGhcbRequest& r) -> Exit {
        current().registered_ghcb = r.ghcb;
        return answer(register_ghcb_response(r.ghcb));
      },
      [&](const PageStateChangeRequest& r) -> Exit {
        const auto operation = static_cast<PageOperation>(r.operation);
        if (operation != PageOperation::make_private && operation != PageOperation::make_shared) {
          return answer(page_state_change_response(page_state_change_failed));
        }
        const bool to_private = operation == PageOperation::make_private;
        pending_ = PscByMsr{request};
        return KvmExit(HypercallExit{hypercall_map_gpa_range,
                                     {r.page.value(), 1, to_private ? map_gpa_private : 0}});
      },
      [&](const RunVmplRequest& r) -> Exit { return run_vmpl_by_msr(request, r.vmpl); },
      [&](const FeaturesRequest&) -> Exit { return answer(features_response(features())); },
      [&](const TerminationRequest& r) -> Exit { return terminate_by_msr(request, r); });
}

}  // namespace softsnp::kvm
