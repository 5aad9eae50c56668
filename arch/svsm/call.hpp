// SVSM calls: RAX on entry is protocol and call id. SVSM sheet 3.1, 4-6 (58019 "Calling
// Convention"). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::svsm {

// Open: any 32-bit number may arrive.
enum class Protocol : u32 { core = 0, attestation = 1, vtpm = 2, apic = 3, uefi_mm = 4 };

// SVSM sheet 4.
enum class CoreCall : u32 {
  remap_ca = 0,
  pvalidate = 1,
  create_vcpu = 2,
  delete_vcpu = 3,
  deposit_mem = 4,
  withdraw_mem = 5,
  query_protocol = 6,
  configure_vtom = 7,
};
// SVSM sheet 5.
enum class AttestationCall : u32 { services = 0, single_service = 1 };
// SVSM sheet 6.
enum class VtpmCall : u32 { query = 0, command = 1 };

constexpr u64 call_number(Protocol protocol, u32 id) {
  return u64{static_cast<u32>(protocol)} << 32 | id;
}
constexpr u64 number(CoreCall call) {
  return call_number(Protocol::core, static_cast<u32>(call));
}
constexpr u64 number(AttestationCall call) {
  return call_number(Protocol::attestation, static_cast<u32>(call));
}
constexpr u64 number(VtpmCall call) {
  return call_number(Protocol::vtpm, static_cast<u32>(call));
}
constexpr Protocol protocol_of(u64 rax) {
  return static_cast<Protocol>(rax >> 32);
}
constexpr u32 call_id_of(u64 rax) {
  return static_cast<u32>(rax);
}
static_assert(number(VtpmCall::command) == 0x0000000200000001);

// The registers of a call as they travel in the caller's VMSA (SVSM sheet 3.1).
struct Registers {
  u64 rax = 0;
  u64 rcx = 0;
  u64 rdx = 0;
  u64 r8 = 0;
  u64 r9 = 0;
  friend constexpr bool operator==(const Registers&, const Registers&) = default;
};

// QUERY_PROTOCOL: RCX in is protocol and version, out the versions on offer (SVSM sheet 4.6).
inline constexpr u32 core_version = 1, attestation_version = 1, vtpm_version = 1;
constexpr u64 protocol_query(Protocol protocol, u32 version) {
  return u64{static_cast<u32>(protocol)} << 32 | version;
}
constexpr u64 version_range(u32 highest, u32 lowest) {
  return u64{highest} << 32 | lowest;
}
inline constexpr u64 protocol_not_available = 0;

constexpr const char* name(Protocol protocol) {
  switch (protocol) {
    case Protocol::core:
      return "core";
    case Protocol::attestation:
      return "attestation";
    case Protocol::vtpm:
      return "vTPM";
    case Protocol::apic:
      return "APIC";
    case Protocol::uefi_mm:
      return "UEFI MM";
  }
  return "unknown";
}

constexpr const char* name(CoreCall call) {
  switch (call) {
    case CoreCall::remap_ca:
      return "REMAP_CA";
    case CoreCall::pvalidate:
      return "PVALIDATE";
    case CoreCall::create_vcpu:
      return "CREATE_VCPU";
    case CoreCall::delete_vcpu:
      return "DELETE_VCPU";
    case CoreCall::deposit_mem:
      return "DEPOSIT_MEM";
    case CoreCall::withdraw_mem:
      return "WITHDRAW_MEM";
    case CoreCall::query_protocol:
      return "QUERY_PROTOCOL";
    case CoreCall::configure_vtom:
      return "CONFIGURE_VTOM";
  }
  return "unknown";
}

}  // namespace softsnp::svsm
