#include "guest/runtime/msr_protocol.hpp"

#include "arch/x86/msr.hpp"

namespace softsnp::guest {
namespace {

using ghcb::MsrCode;

bool is(u64 answer, MsrCode code) {
  return get_bits(answer, 11, 0) == number(code);
}

}  // namespace

u64 MsrProtocol::ask(u64 request) {
  const InterruptsOff off(processor_);
  const u64 before = processor_.read_msr(x86::msr::ghcb);
  processor_.write_msr(x86::msr::ghcb, request);
  processor_.vmgexit();
  const u64 answer = processor_.read_msr(x86::msr::ghcb);
  processor_.write_msr(x86::msr::ghcb, before);
  return answer;
}

Checked<VersionRange> MsrProtocol::versions() {
  const u64 answer = ask(encode(ghcb::SevInformationRequest{}));
  if (!is(answer, MsrCode::sev_information_response)) {
    return fail(Cause::unexpected_msr_answer);
  }
  return VersionRange{static_cast<u16>(get_bits(answer, 47, 32)),
                      static_cast<u16>(get_bits(answer, 63, 48)),
                      static_cast<u8>(get_bits(answer, 31, 24))};
}

Checked<u64> MsrProtocol::features() {
  const u64 answer = ask(encode(ghcb::FeaturesRequest{}));
  if (!is(answer, MsrCode::features_response)) {
    return fail(Cause::unexpected_msr_answer);
  }
  return get_bits(answer, 63, 12);
}

Checked<u32> MsrProtocol::cpuid(u32 function, ghcb::CpuidRegister which) {
  const u64 answer = ask(encode(ghcb::CpuidRequest{function, which}));
  if (answer != ghcb::cpuid_response(static_cast<u32>(answer >> 32), which)) {
    return fail(Cause::cpuid_of_host_failed);
  }
  return static_cast<u32>(answer >> 32);
}

Checked<u64> MsrProtocol::preferred_ghcb_frame() {
  const u64 answer = ask(encode(ghcb::PreferredGhcbRequest{}));
  if (!is(answer, MsrCode::preferred_ghcb_response)) {
    return fail(Cause::unexpected_msr_answer);
  }
  return get_bits(answer, 63, 12);
}

Checked<void> MsrProtocol::register_ghcb(GuestPhysical page) {
  if (ask(encode(ghcb::RegisterGhcbRequest{page})) != ghcb::register_ghcb_response(page)) {
    return fail(Cause::registration_refused);
  }
  return {};
}

Checked<void> MsrProtocol::change_page_state(GuestPhysical page, ghcb::PageOperation operation) {
  const ghcb::PageStateChangeRequest request{page, static_cast<u8>(operation)};
  if (ask(encode(request)) != ghcb::page_state_change_response(0)) {
    return fail(Cause::page_state_change_failed);
  }
  return {};
}

Checked<void> MsrProtocol::run_vmpl(Vmpl vmpl) {
  const u64 answer = ask(encode(ghcb::RunVmplRequest{static_cast<u8>(number(vmpl))}));
  if (answer != number(MsrCode::run_vmpl_response)) {
    return fail(Cause::unexpected_msr_answer);
  }
  return {};
}

Checked<void> MsrProtocol::hold_for_start(u64 patience) {
  for (u64 spurious = 0; spurious <= patience; ++spurious) {
    const u64 answer = ask(encode(ghcb::ApResetHoldRequest{}));
    if (!is(answer, MsrCode::ap_reset_hold_response)) {
      return fail(Cause::unexpected_msr_answer);
    }
    if (get_bits(answer, 63, 12) != 0) {
      return {};
    }
  }
  return fail(Cause::ap_not_started);
}

}  // namespace softsnp::guest
