// Which VMCB used an ASID last on each core: translations of another vCPU of the same guest must
// not be found there. Of the whole host kernel. Linux arch/x86/kvm/svm: pre_sev_run().
#pragma once

#include <map>

#include "arch/address.hpp"

namespace softsnp::kvm {

class CoreAsids {
 public:
  // Before VMRUN. True: the ASID's translations on that core are to be flushed.
  bool enter(unsigned core, u32 asid, SystemPhysical vmcb) {
    SystemPhysical& last = last_[{core, asid}];
    const bool other = last != vmcb;
    last = vmcb;
    return other;
  }
  // The page will be something else.
  void forget(SystemPhysical vmcb) {
    for (auto& [use, last] : last_) {
      last = last == vmcb ? SystemPhysical(0) : last;
    }
  }

 private:
  std::map<std::pair<unsigned, u32>, SystemPhysical> last_;
};

}  // namespace softsnp::kvm
