// Reasons a guest gives when it asks for its termination. GHCB sheet 2.3, 3.4. Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::ghcb {

struct TerminationReason {
  u64 set;
  u64 code;
};

// The fields lie elsewhere in SW_EXITINFO1 of event 8000FFFE than in the MSR form.
constexpr TerminationReason termination_of_event(u64 exitinfo1) {
  return {get_bits(exitinfo1, 3, 0), get_bits(exitinfo1, 11, 4)};
}

// Set 1 is used by Linux and, with codes 1 and 2, by the OVMF reset vector; those names tell both.
constexpr const char* name(TerminationReason reason) {
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
