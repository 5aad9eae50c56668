// Reasons a guest gives when it asks for its termination. GHCB sheet 2.3, 3.4. Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::ghcb {

struct TerminationReason {
  u64 set;
  u64 code;
  friend constexpr bool operator==(const TerminationReason&, const TerminationReason&) = default;
};

// Set 0 is the specification's, set 1 Linux's, this one our own guest runtime's.
inline constexpr u64 guest_runtime_set = 5;
namespace termination {
inline constexpr TerminationReason general{0, 0}, version_range{0, 1}, snp_features{0, 2},
    registration{1, 0}, page_state_change{1, 1}, pvalidate{1, 2}, no_svsm{1, 3}, cpuid_page{1, 4},
    cpuid_of_host{1, 5}, secrets_page{1, 6}, svsm_absent{1, 7}, svsm_vmpl_zero{1, 8},
    calling_area_misaligned{1, 9}, calling_area_remap{1, 11};
inline constexpr TerminationReason msr_answer{guest_runtime_set, 0},
    answer_incomplete{guest_runtime_set, 1}, host_error{guest_runtime_set, 2},
    exception_request{guest_runtime_set, 3}, vc_mismatch{guest_runtime_set, 4},
    vc_unsupported{guest_runtime_set, 5}, vc_nesting{guest_runtime_set, 6},
    mmio_of_private_page{guest_runtime_set, 7}, page_not_validated{guest_runtime_set, 8},
    page_state_lie{guest_runtime_set, 9}, rollback{guest_runtime_set, 10},
    guest_message{guest_runtime_set, 11}, ap_start{guest_runtime_set, 12},
    svsm_call{guest_runtime_set, 13}, page_tables{guest_runtime_set, 14},
    double_validation{guest_runtime_set, 15}, cpuid_answer{guest_runtime_set, 16};
}  // namespace termination

// The fields lie elsewhere in SW_EXITINFO1 of event 8000FFFE than in the MSR form.
constexpr TerminationReason termination_of_event(u64 exitinfo1) {
  return {get_bits(exitinfo1, 3, 0), get_bits(exitinfo1, 11, 4)};
}

// Set 1 is used by Linux and, with codes 1 and 2, by the OVMF reset vector; those names tell both.
constexpr const char* name_in_runtime_set(u64 code) {
  constexpr const char* names[] = {"unexpected answer by the GHCB MSR",
                                   "GHCB answer lacks a value",
                                   "hypervisor reported an error",
                                   "hypervisor asked for an inadmissible exception",
                                   "#VC does not fit the instruction",
                                   "#VC cannot be handled",
                                   "#VC nested too deeply",
                                   "MMIO through a private mapping",
                                   "private page is not validated",
                                   "page state change answered falsely",
                                   "page state could not be restored",
                                   "guest message exchange failed",
                                   "application processor not started",
                                   "SVSM call failed",
                                   "no page table left",
                                   "page was validated before",
                                   "CPUID answer is inconsistent"};
  return code < sizeof names / sizeof names[0] ? names[code]
                                               : "unknown reason of the guest runtime";
}

constexpr const char* name(TerminationReason reason) {
  if (reason.set == guest_runtime_set) {
    return name_in_runtime_set(reason.code);
  }
  if (reason.set == 0) {
    switch (reason.code) {
      case 0:
        return "general termination request";
      case 1:
        return "GHCB protocol version range not supported";
      case 2:
        return "SNP features not sufficient";
      default:
        return "unknown reason of set 0";
    }
  }
  if (reason.set != 1) {
    return "unknown reason set";
  }
  switch (reason.code) {
    case 0:
      return "GHCB registration failed";
    case 1:
      return "page state change failed (OVMF reset vector: #VC was not for CPUID)";
    case 2:
      return "PVALIDATE failed (OVMF reset vector: unexpected MSR protocol response)";
    case 3:
      return "not at VMPL0 and no usable SVSM";
    case 4:
      return "CPUID page unusable";
    case 5:
      return "CPUID from the hypervisor failed";
    case 6:
      return "secrets page unusable";
    case 7:
      return "VMPL above 0 but no SVSM";
    case 8:
      return "SVSM present but claims guest VMPL 0";
    case 9:
      return "SVSM calling area not page aligned";
    case 10:
      return "Secure TSC failed";
    case 11:
      return "SVSM calling area remap failed";
    case 12:
      return "Secure AVIC failed";
    default:
      return "unknown reason of set 1";
  }
}

}  // namespace softsnp::ghcb
