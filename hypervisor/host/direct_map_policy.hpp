// What a user chooses of the host's direct map, and what he sees of it.
#pragma once

#include "base/types.hpp"

namespace softsnp::host {

enum class DirectMapPolicy : u8 {
  // Before any RMPUPDATE, the mapping of the page is split to 4 KiB (set_memory_4k in rmpupdate(),
  // as the first SNP host patches did).
  split_on_assign,
  // As before, but only for 4 KiB entries of the RMP: a 2 MiB entry leaves no neighbours in its
  // mapping that a store could be meant for. Linux 6.12 (adjust_direct_map() in
  // arch/x86/virt/svm/sev.c), which never makes mappings large again.
  split_on_small_assign,
  // Nothing is done before. A store that faults only for its neighbours' sake has its mapping split
  // by the fault handler and is repeated.
  split_on_fault,
  // A page that enters the RMP is not mapped as long as it is there: a stray access, loads too,
  // finds no page.
  unmap_on_assign
};

struct DirectMapConfig {
  DirectMapPolicy policy = DirectMapPolicy::split_on_small_assign;
  // A mapping whose pages have all left the RMP becomes large again.
  bool coalesce = true;
};

struct DirectMapCounters {
  u64 splits_of_1g = 0, splits_of_2m = 0;
  u64 joins_to_1g = 0, joins_to_2m = 0;
  u64 faults = 0;           // RMP and page faults of the host's accesses
  u64 faults_resolved = 0;  // of them, by splitting a mapping
  u64 stores = 0, tlb_misses = 0;
};

// Present leaves by size, and 4 KiB pages of DRAM that are not mapped.
struct DirectMapCensus {
  u64 huge = 0, large = 0, small = 0, unmapped_pages = 0;
  friend bool operator==(const DirectMapCensus&, const DirectMapCensus&) = default;
};

}  // namespace softsnp::host
