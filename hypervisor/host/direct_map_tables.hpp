// The page tables of the direct map: all of DRAM at a fixed offset, in the largest pages that fit.
// They are real tables in DRAM, four levels (APM2 5.3), in frames of 2 MiB that hold nothing else,
// so that a store to them passes the RMP check through any mapping. Every table that a fully split
// map needs has its place from the start: splitting cannot run out of memory.
#pragma once

#include <vector>

#include "hypervisor/host/direct_map_policy.hpp"
#include "hypervisor/host/page_allocator.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::host {

enum class MappingSize : u8 { size_4k, size_2m, size_1g };
inline constexpr u64 huge_page_size = u64{1} << 30;
constexpr u64 bytes(MappingSize size) {
  return size == MappingSize::size_1g   ? huge_page_size
         : size == MappingSize::size_2m ? large_page_size
                                        : page_size;
}

class DirectMapTables {
 public:
  struct Mapping {
    MappingSize size = MappingSize::size_4k;
    bool present = false;
    friend bool operator==(const Mapping&, const Mapping&) = default;
  };

  // Takes the frames it needs from allocator; port and allocator outlive it.
  DirectMapTables(machine::HostPort& port, PageAllocator& allocator);

  // By walking the tables. at must lie in DRAM.
  Mapping walk(SystemPhysical at) const;
  // Makes the leaf at `at` no larger than size; what it maps stays as it is.
  void split_to(SystemPhysical at, MappingSize size);
  // The 2 MiB or 1 GiB around `at` becomes one present leaf. All of it must be DRAM.
  void join(SystemPhysical at, MappingSize size);
  // The leaf at `at`, which has that size, is made present or not.
  void set_present(SystemPhysical at, MappingSize size, bool present);

  // The 2 MiB or 1 GiB around `at` can be one leaf at all.
  bool can_be(SystemPhysical at, MappingSize size) const;
  // Leaves below 2 MiB, or not present, in the 1 GiB around `at`, counted in units of 2 MiB.
  u64 broken_in_huge(SystemPhysical at) const { return broken_[at.value() / huge_page_size]; }
  const DirectMapCensus& census() const { return census_; }
  SystemPhysical root() const { return tables_; }

 private:
  SystemPhysical table(unsigned level, SystemPhysical at) const;
  SystemPhysical slot(unsigned level, SystemPhysical at) const;
  u64 read(SystemPhysical slot) const;
  void write(SystemPhysical slot, u64 entry);
  void fill(SystemPhysical table, SystemPhysical first, u64 step, u64 flags);
  void build();
  void split(SystemPhysical at, MappingSize from);
  void count(MappingSize size, bool present, i64 leaves);

  machine::HostPort& port_;
  u64 dram_bytes_;
  SystemPhysical tables_;    // level 4, then levels 3, 2 and 1, each in order of what it maps
  std::vector<u16> broken_;  // by 1 GiB
  DirectMapCensus census_;
};

}  // namespace softsnp::host
