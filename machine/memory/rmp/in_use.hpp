// Pages that a running vCPU keeps the RMP from changing: VMCB, VMSA, AVIC backing page.
// Hardware sheet 5.2, 6.3.
#pragma once

#include <map>

#include "arch/address.hpp"

namespace softsnp::memory {

class InUseMarks {
 public:
  void begin(SystemPhysical page) { ++counts_[page.page()]; }
  void end(SystemPhysical page) {
    const auto mark = counts_.find(page.page());
    if (mark != counts_.end() && --mark->second == 0) {
      counts_.erase(mark);
    }
  }
  // Any mark in the 4K or 2M page that contains at.
  bool any(SystemPhysical at, PageSize size) const {
    if (counts_.empty()) {
      return false;
    }
    const SystemPhysical first = size == PageSize::size_2m ? at.large_page() : at.page();
    const auto mark = counts_.lower_bound(first);
    return mark != counts_.end() && mark->first - first < bytes(size);
  }

 private:
  std::map<SystemPhysical, u64> counts_;
};

}  // namespace softsnp::memory
