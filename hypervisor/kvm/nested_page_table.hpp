// Nested page tables: four levels in host DRAM, written through the host port. Hardware sheet 5.3,
// 7.2 (APM2 15.25.5).
#pragma once

#include <optional>
#include <vector>

#include "hypervisor/host/memory.hpp"

namespace softsnp::kvm {

class NestedPageTable {
 public:
  struct Mapping {
    SystemPhysical page;
    PageSize size = PageSize::size_4k;
    bool is_mmio = false;
    bool writable = true;
  };
  enum class MapResult : u8 { mapped, out_of_memory };
  // Four levels reach that far; no slot and no entry lies beyond.
  static constexpr u64 gpa_limit = u64{1} << 48;

  // mmio_bits: address bits that are reserved to this processor and make an entry fault with RSV.
  NestedPageTable(host::HostMemory& memory, u64 mmio_bits);
  ~NestedPageTable();
  NestedPageTable(const NestedPageTable&) = delete;
  NestedPageTable& operator=(const NestedPageTable&) = delete;

  // nCR3; sPA 0 if there was no memory for it.
  SystemPhysical root() const { return root_; }
  MapResult map(GuestPhysical gpa, SystemPhysical spa, PageSize size, bool writable = true);
  // A present entry with reserved bits: an access becomes #VC 400h in an SEV-ES guest.
  MapResult map_mmio(GuestPhysical page);
  std::optional<Mapping> lookup(GuestPhysical gpa) const;
  // Drops every leaf that touches the range; a 2 MiB leaf goes whole. True if any was there.
  bool unmap(GuestPhysical first, u64 bytes);

 private:
  static constexpr unsigned top_level = 4;
  u64 read(SystemPhysical table, GuestPhysical gpa, unsigned level) const;
  void write(SystemPhysical table, GuestPhysical gpa, unsigned level, u64 entry);
  std::optional<SystemPhysical> table_for(GuestPhysical gpa, unsigned leaf_level);
  std::optional<SystemPhysical> new_table();
  void recycle(SystemPhysical table);
  bool unmap_in(SystemPhysical table, unsigned level, GuestPhysical first, u64 bytes);

  host::HostMemory& memory_;
  u64 mmio_bits_;
  SystemPhysical root_{};
  std::vector<SystemPhysical> tables_;  // all of them, the root first
  std::vector<SystemPhysical> spare_;   // those among them that hang nowhere, zero-filled
};

}  // namespace softsnp::kvm
