// What the SVSM knows, one for all vCPUs. Freestanding.
#pragma once

#include "arch/svsm/page_list.hpp"
#include "arch/svsm/result_code.hpp"
#include "guest/svsm/deposits.hpp"
#include "guest/svsm/memory_map.hpp"
#include "guest/svsm/vcpu_table.hpp"

namespace softsnp::svsm {

// The entry of a PVALIDATE call that failed last, and how many have: whoever runs this says so.
struct FailedEntry {
  PageEntry entry;
  ResultCode result = ResultCode::success;
  u64 count = 0;
};

struct State {
  MemoryMap memory;
  VcpuTable vcpus;
  Deposits deposits;
  Vmpl guest_vmpl = Vmpl::vmpl2;
  u64 sev_features = 0;  // of the startup vCPU
  FailedEntry failed;

  // RAM that is neither the SVSM's nor a VMSA: PVALIDATE's and others' first check.
  bool is_guests(const Stretch& range) const {
    return memory.is_ram(range) && !range.overlaps(memory.own) && !vcpus.is_vmsa(range) &&
           !deposits.overlaps(range);
  }
  // Neither is it a Calling Area, but for the one of except.
  bool is_free(const Stretch& range, const GuestVcpu* except = nullptr) const {
    return is_guests(range) && !vcpus.is_calling_area(range, except);
  }
};

}  // namespace softsnp::svsm
