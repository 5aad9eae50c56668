// The calling convention, QUERY_PROTOCOL, CONFIGURE_VTOM. SVSM sheet 2.4, 3, 4.6, 4.7.
#include "arch/svsm/vtom.hpp"
#include "guest/svsm_conformance/cases.hpp"
#include "guest/svsm_conformance/expect.hpp"

namespace softsnp::conformance {
namespace {

using svsm::Protocol;

svsm::Registers query(Protocol protocol, u32 version) {
  return core(svsm::CoreCall::query_protocol, svsm::protocol_query(protocol, version));
}

void pending_cases(Stage& stage) {
  const svsm::Registers in = query(Protocol::core, 1);
  const svsm::Registers none = stage.call(in, svsm::CallingArea::no_call);
  expect(stage, "no call pending: nothing happens", none.rax, in.rax);
  expect(stage, "no call pending: RCX stays", none.rcx, in.rcx);
  constexpr u8 reserved[] = {2, 0x80, 0xFF};
  for (const u8 pending : reserved) {
    const svsm::Registers out = stage.call(in, pending);
    expect(stage, "reserved pending value", out.rax, number(ResultCode::invalid_format));
    expect(stage, "reserved pending value: RCX stays", out.rcx, in.rcx);
  }
}

void unknown_cases(Stage& stage) {
  const auto ask = [&](const char* name, u64 rax, ResultCode expected) {
    expect_call(stage, name, {rax, 1, 2, 3, 4}, expected);
  };
  ask("core call 8", 8, ResultCode::unsupported_call);
  ask("core call of all ones", 0xFFFFFFFF, ResultCode::unsupported_call);
  ask("attestation call 2", svsm::call_number(Protocol::attestation, 2),
      ResultCode::unsupported_call);
  ask("protocol 3", svsm::call_number(Protocol::apic, 0), ResultCode::unsupported_protocol);
  ask("protocol 4", svsm::call_number(Protocol::uefi_mm, 1), ResultCode::unsupported_protocol);
  ask("protocol of all ones", ~u64{0}, ResultCode::unsupported_protocol);
}

void query_cases(Stage& stage) {
  const auto ask = [&](const char* name, Protocol protocol, u32 version, u64 expected) {
    const svsm::Registers out =
        expect_call(stage, name, query(protocol, version), ResultCode::success);
    expect(stage, name, out.rcx, expected);
  };
  ask("core version 1", Protocol::core, 1, svsm::version_range(1, 1));
  ask("core version 0", Protocol::core, 0, 0);
  ask("core version 2", Protocol::core, 2, 0);
  ask("attestation version 1", Protocol::attestation, 1, svsm::version_range(1, 1));
  ask("APIC protocol", Protocol::apic, 1, 0);
  ask("no such protocol", static_cast<Protocol>(0x80000000), 1, 0);
}

void vtom_cases(Stage& stage) {
  const auto ask = [&](const char* name, u64 rcx, ResultCode expected) {
    return expect_call(stage, name, core(svsm::CoreCall::configure_vtom, rcx), expected);
  };
  const svsm::Registers out = ask("vTOM query", svsm::vtom_request::query, ResultCode::success);
  expect(stage, "vTOM query: not supported", out.rcx, 0);
  ask("vTOM query with another bit", svsm::vtom_request::query | svsm::vtom_request::enable,
      ResultCode::invalid_parameter);
  ask("vTOM reserved bit", bit(5), ResultCode::invalid_parameter);
  ask("vTOM off with a value", bit(40), ResultCode::invalid_parameter);
  ask("vTOM on", svsm::vtom_request::enable | bit(40), ResultCode::invalid_request);
  ask("vTOM off", 0, ResultCode::invalid_request);
}

}  // namespace

void protocol_cases(Stage& stage) {
  pending_cases(stage);
  unknown_cases(stage);
  query_cases(stage);
  vtom_cases(stage);
}

}  // namespace softsnp::conformance
