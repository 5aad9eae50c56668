// The host kernel's mapping of all DRAM, through which every load and store of it goes. A store is
// checked against the RMP with the size of its mapping: one page of a 2 MiB or 1 GiB mapping that
// belongs to a guest makes stores to its neighbours fault (hardware sheet 5.1, 5.2). Three ways to
// live with that, and large mappings that come back.
#pragma once

#include <span>

#include "base/result.hpp"
#include "hypervisor/host/assigned_pages.hpp"
#include "hypervisor/host/direct_map_policy.hpp"
#include "hypervisor/host/host_tlb.hpp"

namespace softsnp::host {

class DirectMap {
 public:
  // Takes the frames of its tables from allocator. Both outlive it.
  DirectMap(machine::HostPort& port, PageAllocator& allocator, const DirectMapConfig& config);

  // A fault has the error code of the host's #PF (hardware sheet 5.4); 0 with an address outside
  // DRAM: a bus error. Before a fault, earlier pages of the range may have been written.
  Result<void, machine::HostFault> load(SystemPhysical at, std::span<u8> to);
  Result<void, machine::HostFault> store(SystemPhysical at, std::span<const u8> from);
  Result<void, machine::HostFault> clear_page(SystemPhysical page);
  // 2 MiB by one large mapping, in one go. False: not so mapped, or it faulted; nothing is changed.
  bool clear_large_page(SystemPhysical page);

  // An RMPUPDATE of these pages comes next, one that assigns them or one that takes them out.
  void before_update(SystemPhysical page, PageSize size, bool assigns);
  // What the RMP says of these pages now, after an RMPUPDATE that may have failed.
  void after_update(SystemPhysical page, PageSize size, bool assigned);
  bool is_assigned(SystemPhysical page) const { return assigned_.contains(page); }
  u64 assigned_pages() const { return assigned_.total(); }

  DirectMapCounters counters() const;
  const DirectMapCensus& census() const { return tables_.census(); }
  DirectMapTables::Mapping mapping(SystemPhysical at) const { return tables_.walk(at); }

 private:
  using Mapping = DirectMapTables::Mapping;
  Mapping translate(SystemPhysical at);
  template <class Access>
  Result<void, machine::HostFault> write(SystemPhysical at, Access access);
  bool resolve(const machine::HostFault& fault, const Mapping& mapping);
  void split_to(SystemPhysical at, MappingSize size);
  void set_present(SystemPhysical page, PageSize size, bool present);
  void coalesce(SystemPhysical at);

  machine::HostPort& port_;
  DirectMapConfig config_;
  DirectMapTables tables_;
  AssignedPages assigned_;
  HostTlb tlb_;
  DirectMapCounters counters_;
};

}  // namespace softsnp::host
