// What the MMU must know of the guest a core is running; set by VMRUN and #VMEXIT.
// Hardware sheet 2, 5, 9 (APM2 15.25, 15.34, 15.36).
#pragma once

#include "arch/address.hpp"

namespace softsnp::cpu {

struct GuestContext {
  bool guest = false;  // between VMRUN and #VMEXIT
  bool nested_paging = false;
  bool sev = false;                // VMCB 090h[1]
  bool sev_es = false;             // VMCB 090h[2]
  bool snp = false;                // SEV_FEATURES[0] of the VMSA
  bool vtom = false;               // SEV_FEATURES[1]
  bool flags_intercepted = false;  // PUSHF, POPF, ... are intercepted: take the slow way
  bool read_only_tables = false;   // VMCB 090h[6]
  Asid asid = Asid::host;
  Vmpl vmpl = Vmpl::vmpl0;
  u64 virtual_tom = 0;
  SystemPhysical nested_cr3;

  friend bool operator==(const GuestContext&, const GuestContext&) = default;
};

}  // namespace softsnp::cpu
