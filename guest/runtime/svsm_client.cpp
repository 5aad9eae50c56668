#include "guest/runtime/svsm_client.hpp"

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/snp/rmp.hpp"
#include "arch/x86/msr.hpp"

namespace softsnp::guest {
namespace {

// The SVSM is trusted and may need many turns; a guest that waits longer than this is better ended.
constexpr u32 retries_allowed = 1'000'000;

}  // namespace

Checked<SvsmLocation> find_svsm(const psp::SecretsPage& secrets) {
  if (secrets.svsm_size == 0) {
    return fail(Cause::svsm_absent);
  }
  if (secrets.svsm_guest_vmpl == 0) {
    return fail(Cause::svsm_claims_vmpl0);
  }
  const GuestPhysical calling_area(secrets.svsm_caa);
  if (!calling_area.is_page_aligned()) {
    return fail(Cause::calling_area_misaligned);
  }
  if (secrets.svsm_guest_vmpl >= vmpl_count) {
    return fail(Cause::secrets_page_bad);
  }
  return SvsmLocation{GuestPhysical(secrets.svsm_base), secrets.svsm_size, calling_area,
                      secrets.svsm_max_version, static_cast<Vmpl>(secrets.svsm_guest_vmpl)};
}

bool runs_at_vmpl0(Processor& processor, GuestVirtual own_page) {
  return processor.rmpadjust(own_page, PageSize::size_4k, Vmpl::vmpl1, 0, false) ==
         static_cast<u32>(snp::RmpResult::success);
}

// In one step: between a read and a write the hypervisor could let the SVSM run late, on a stale
// request. False: the call is still pending, so the SVSM has not run.
bool SvsmClient::end_call() {
  return __atomic_exchange_n(&area_->call_pending, svsm::CallingArea::no_call, __ATOMIC_SEQ_CST) ==
         svsm::CallingArea::no_call;
}

Checked<svsm::Registers> SvsmClient::by_msr(const svsm::Registers& in) {
  const InterruptsOff off(processor_);
  const u64 before = processor_.read_msr(x86::msr::ghcb);
  processor_.write_msr(x86::msr::ghcb, encode(ghcb::RunVmplRequest{0}));
  __atomic_store_n(&area_->call_pending, svsm::CallingArea::call, __ATOMIC_SEQ_CST);
  const svsm::Registers out = processor_.vmgexit_with(in);
  const u64 answer = processor_.read_msr(x86::msr::ghcb);
  processor_.write_msr(x86::msr::ghcb, before);
  if (!end_call()) {
    return fail(Cause::svsm_call_failed);
  }
  if (answer != number(ghcb::MsrCode::run_vmpl_response)) {
    return fail(Cause::unexpected_msr_answer);
  }
  return out;
}

Checked<svsm::Registers> SvsmClient::by_ghcb(const svsm::Registers& in) {
  const GhcbUse use(*ghcb_);
  if (!use.ok()) {
    return fail(Cause::vc_nested_too_deep);
  }
  ghcb_->begin();
  __atomic_store_n(&area_->call_pending, svsm::CallingArea::call, __ATOMIC_SEQ_CST);
  svsm::Registers registers = in;
  const auto answer =
      ghcb_->call_with(registers, number(ghcb::Event::run_vmpl), number(Vmpl::vmpl0), 0);
  if (!end_call()) {
    return fail(Cause::svsm_call_failed);
  }
  if (!answer) {
    return fail(answer.error().kind == Trouble::Kind::fatal ? answer.error().cause
                                                            : Cause::svsm_call_failed);
  }
  return registers;
}

Checked<svsm::Registers> SvsmClient::exchange(const svsm::Registers& in) {
  return ghcb_ != nullptr ? by_ghcb(in) : by_msr(in);
}

Checked<SvsmAnswer> SvsmClient::call(svsm::Protocol protocol, u32 id, svsm::Registers in) {
  in.rax = svsm::call_number(protocol, id);
  for (u32 tries = 0; tries <= retries_allowed; ++tries) {
    const auto out = exchange(in);
    if (!out) {
      return fail(out.error());
    }
    if (out->rax >> 32 != 0) {
      return fail(Cause::svsm_call_failed);
    }
    const auto code = static_cast<svsm::ResultCode>(out->rax);
    if (!svsm::is_retry(code)) {
      return SvsmAnswer{code, *out};
    }
    processor_.relax();
  }
  return fail(Cause::svsm_call_failed);
}

Checked<void> SvsmClient::demand(svsm::CoreCall id, const svsm::Registers& in, Cause otherwise) {
  const auto answer = call(id, in);
  if (!answer) {
    return fail(answer.error());
  }
  return answer->ok() ? Checked<void>() : Checked<void>(fail(otherwise));
}

// The pending byte of this call lies in the old area.
Checked<void> SvsmClient::remap(svsm::CallingArea& area, GuestPhysical at) {
  if (!at.is_page_aligned()) {
    return fail(Cause::calling_area_misaligned);
  }
  area.call_pending = svsm::CallingArea::no_call;
  svsm::Registers in;
  in.rcx = at.value();
  const auto done = demand(svsm::CoreCall::remap_ca, in, Cause::calling_area_remap_failed);
  if (done) {
    area_ = &area;
    at_ = at;
  }
  return done;
}

Checked<void> SvsmClient::create_vcpu(GuestPhysical vmsa, GuestPhysical calling_area, u32 apic_id) {
  svsm::Registers in;
  in.rcx = vmsa.value();
  in.rdx = calling_area.value();
  in.r8 = apic_id;
  return demand(svsm::CoreCall::create_vcpu, in, Cause::ap_not_started);
}

Checked<void> SvsmClient::delete_vcpu(GuestPhysical vmsa) {
  svsm::Registers in;
  in.rcx = vmsa.value();
  return demand(svsm::CoreCall::delete_vcpu, in, Cause::svsm_call_failed);
}

Checked<bool> SvsmClient::offers(svsm::Protocol protocol, u32 version) {
  svsm::Registers in;
  in.rcx = svsm::protocol_query(protocol, version);
  const auto answer = call(svsm::CoreCall::query_protocol, in);
  if (!answer) {
    return fail(answer.error());
  }
  return answer->ok() && answer->registers.rcx != svsm::protocol_not_available;
}

}  // namespace softsnp::guest
