// The GHCB MSR protocol (C001_0130 with [11:0] != 0): requests and responses as values, and their
// encodings. GHCB sheet 2 (56421, "GHCB MSR Protocol"). Freestanding.
#pragma once

#include "arch/address.hpp"
#include "arch/ghcb/sum.hpp"
#include "base/bits.hpp"
#include "base/result.hpp"

namespace softsnp::ghcb {

// [11:0] of the MSR. Open: any of the 4096 numbers may arrive.
enum class MsrCode : u16 {
  page_protocol = 0x000,
  sev_information_response = 0x001,
  sev_information = 0x002,
  cpuid = 0x004,
  cpuid_response = 0x005,
  ap_reset_hold = 0x006,
  ap_reset_hold_response = 0x007,
  preferred_ghcb = 0x010,
  preferred_ghcb_response = 0x011,
  register_ghcb = 0x012,
  register_ghcb_response = 0x013,
  page_state_change = 0x014,
  page_state_change_response = 0x015,
  run_vmpl = 0x016,
  run_vmpl_response = 0x017,
  features = 0x080,
  features_response = 0x081,
  termination = 0x100,
};

enum class CpuidRegister : u8 { eax = 0, ebx = 1, ecx = 2, edx = 3 };

struct PageProtocol {
  GuestPhysical ghcb;
};
struct SevInformationRequest {};
struct CpuidRequest {
  u32 function;
  CpuidRegister which;
};
struct ApResetHoldRequest {};
struct PreferredGhcbRequest {};
struct RegisterGhcbRequest {
  GuestPhysical ghcb;
};
// One 4 KiB page; operation numbers as in page_state_change.hpp, not checked here.
struct PageStateChangeRequest {
  GuestPhysical page;
  u8 operation;
};
struct RunVmplRequest {
  u8 vmpl;
};
struct FeaturesRequest {};
struct TerminationRequest {
  u8 reason_set;
  u8 reason_code;
};

using GhcbMsrRequest = Sum<PageProtocol, SevInformationRequest, CpuidRequest, ApResetHoldRequest,
                           PreferredGhcbRequest, RegisterGhcbRequest, PageStateChangeRequest,
                           RunVmplRequest, FeaturesRequest, TerminationRequest>;

// The hypervisor leaves the MSR unchanged for these (GHCB sheet 2.1).
struct UnknownCode {
  u16 code;
};

inline Result<GhcbMsrRequest, UnknownCode> decode_msr_request(u64 value) {
  const GuestPhysical frame(value & mask_bits(63, 12));
  switch (const auto code = static_cast<MsrCode>(value & 0xFFF); code) {
    case MsrCode::page_protocol:
      return GhcbMsrRequest(PageProtocol{frame});
    case MsrCode::sev_information:
      return GhcbMsrRequest(SevInformationRequest{});
    case MsrCode::cpuid:
      return GhcbMsrRequest(CpuidRequest{static_cast<u32>(get_bits(value, 63, 32)),
                                         static_cast<CpuidRegister>(get_bits(value, 31, 30))});
    case MsrCode::ap_reset_hold:
      return GhcbMsrRequest(ApResetHoldRequest{});
    case MsrCode::preferred_ghcb:
      return GhcbMsrRequest(PreferredGhcbRequest{});
    case MsrCode::register_ghcb:
      return GhcbMsrRequest(RegisterGhcbRequest{frame});
    case MsrCode::page_state_change:
      return GhcbMsrRequest(PageStateChangeRequest{GuestPhysical(value & mask_bits(51, 12)),
                                                   static_cast<u8>(get_bits(value, 55, 52))});
    case MsrCode::run_vmpl:
      return GhcbMsrRequest(RunVmplRequest{static_cast<u8>(get_bits(value, 39, 32))});
    case MsrCode::features:
      return GhcbMsrRequest(FeaturesRequest{});
    case MsrCode::termination:
      return GhcbMsrRequest(TerminationRequest{static_cast<u8>(get_bits(value, 15, 12)),
                                               static_cast<u8>(get_bits(value, 23, 16))});
    default:
      return Failure{UnknownCode{static_cast<u16>(code)}};
  }
}

constexpr u64 number(MsrCode code) {
  return static_cast<u64>(code);
}

// What the guest writes.
constexpr u64 encode(const SevInformationRequest&) {
  return number(MsrCode::sev_information);
}
constexpr u64 encode(const CpuidRequest& r) {
  return u64{r.function} << 32 | static_cast<u64>(r.which) << 30 | number(MsrCode::cpuid);
}
constexpr u64 encode(const ApResetHoldRequest&) {
  return number(MsrCode::ap_reset_hold);
}
constexpr u64 encode(const PreferredGhcbRequest&) {
  return number(MsrCode::preferred_ghcb);
}
constexpr u64 encode(const RegisterGhcbRequest& r) {
  return r.ghcb.page().value() | number(MsrCode::register_ghcb);
}
constexpr u64 encode(const PageStateChangeRequest& r) {
  return u64{r.operation} << 52 | (r.page.value() & mask_bits(51, 12)) |
         number(MsrCode::page_state_change);
}
constexpr u64 encode(const RunVmplRequest& r) {
  return u64{r.vmpl} << 32 | number(MsrCode::run_vmpl);
}
constexpr u64 encode(const FeaturesRequest&) {
  return number(MsrCode::features);
}
constexpr u64 encode(const TerminationRequest& r) {
  return u64{r.reason_code} << 16 | (u64{r.reason_set} & 0xF) << 12 | number(MsrCode::termination);
}

// What the hypervisor answers (GHCB sheet 2.1).
constexpr u64 sev_information_response(u16 max_version, u16 min_version, u8 c_bit) {
  return u64{max_version} << 48 | u64{min_version} << 32 | u64{c_bit} << 24 |
         number(MsrCode::sev_information_response);
}
constexpr u64 cpuid_response(u32 value, CpuidRegister which) {
  return u64{value} << 32 | static_cast<u64>(which) << 30 | number(MsrCode::cpuid_response);
}
// All ones in [63:12]: no preference.
inline constexpr u64 no_preferred_ghcb =
    mask_bits(63, 12) | number(MsrCode::preferred_ghcb_response);
// An answer with another frame than the one asked for is a refusal.
constexpr u64 register_ghcb_response(GuestPhysical ghcb) {
  return ghcb.page().value() | number(MsrCode::register_ghcb_response);
}
constexpr u64 page_state_change_response(u32 error) {
  return u64{error} << 32 | number(MsrCode::page_state_change_response);
}
// Bit 63, the generic error KVM gives (GHCB sheet 2.1).
inline constexpr u32 page_state_change_failed = 0x80000000;
constexpr u64 features_response(u64 features) {
  return features << 12 | number(MsrCode::features_response);
}
constexpr u64 run_vmpl_response(u32 error) {
  return u64{error} << 32 | number(MsrCode::run_vmpl_response);
}
constexpr u64 ap_reset_hold_response(u64 woken) {
  return woken << 12 | number(MsrCode::ap_reset_hold_response);
}
static_assert(sev_information_response(2, 1, 51) == 0x0002000133000001);
static_assert(no_preferred_ghcb == 0xFFFFFFFFFFFFF011);
static_assert(page_state_change_response(page_state_change_failed) == 0x8000000000000015);

// Hypervisor feature bits (GHCB sheet 2.2).
namespace feature {
inline constexpr u64 sev_snp = bit(0), ap_creation = bit(1), restricted_injection = bit(2),
                     restricted_injection_timer = bit(3), apic_id_list = bit(4),
                     multi_vmpl = bit(5), extended_interrupts = bit(9);
}

constexpr const char* name(MsrCode code) {
  switch (code) {
    case MsrCode::page_protocol:
      return "page protocol";
    case MsrCode::sev_information:
    case MsrCode::sev_information_response:
      return "SEV information";
    case MsrCode::cpuid:
    case MsrCode::cpuid_response:
      return "CPUID";
    case MsrCode::ap_reset_hold:
    case MsrCode::ap_reset_hold_response:
      return "AP reset hold";
    case MsrCode::preferred_ghcb:
    case MsrCode::preferred_ghcb_response:
      return "preferred GHCB";
    case MsrCode::register_ghcb:
    case MsrCode::register_ghcb_response:
      return "register GHCB";
    case MsrCode::page_state_change:
    case MsrCode::page_state_change_response:
      return "page state change";
    case MsrCode::run_vmpl:
    case MsrCode::run_vmpl_response:
      return "run VMPL";
    case MsrCode::features:
    case MsrCode::features_response:
      return "hypervisor features";
    case MsrCode::termination:
      return "termination";
  }
  return "unknown";
}

}  // namespace softsnp::ghcb
