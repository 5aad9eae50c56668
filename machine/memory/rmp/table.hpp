// The RMP as it lies in DRAM: 16 KiB of bookkeeping (8-byte counters by ASID), then one 16-byte
// entry per 4 KiB page from sPA 0. Knows the layout and keeps the hardware's own counts; decides
// nothing. Hardware sheet 1.4, 3.1.
#pragma once

#include "arch/snp/rmp.hpp"
#include "base/bytes.hpp"
#include "machine/memory/dram/dram.hpp"

namespace softsnp::memory {

inline constexpr u64 pages_per_large_page = large_page_size / page_size;

// A 2M page in the RMP: only its 2M-aligned entry describes it.
constexpr bool is_large(const snp::RmpEntry& entry) {
  return entry.assigned() && entry.size() == PageSize::size_2m;
}

class RmpTable {
 public:
  explicit RmpTable(Dram& dram) : dram_(dram) {}

  // Entries that would lie outside DRAM do not exist.
  void set_range(SystemPhysical base, SystemPhysical end);
  SystemPhysical base() const { return base_; }
  SystemPhysical end() const { return end_; }

  bool covered(SystemPhysical at) const { return at.page_number() < covered_pages_; }
  // Every page of the 4K or 2M page that contains at.
  bool covered(SystemPhysical at, PageSize size) const {
    return size == PageSize::size_4k ? covered(at)
                                     : covered(at.large_page() + (large_page_size - page_size));
  }

  // Both require covered(at).
  snp::RmpEntry load(SystemPhysical at) const { return load_le<snp::RmpEntry>(slot(at)); }
  snp::RmpEntry load_effective(SystemPhysical at) const {
    const snp::RmpEntry aligned = load(at.large_page());
    return is_large(aligned) ? aligned : load(at);
  }
  // No page of the 2M region is assigned. Requires covered(at).
  bool region_unassigned(SystemPhysical at) const {
    const snp::RmpEntry aligned = load(at.large_page());
    return !aligned.assigned() && aligned.sub_page_count() == 0;
  }

  // Stores one entry. The sub-page count in value is ignored: it belongs to the hardware.
  void store(SystemPhysical at, const snp::RmpEntry& value);
  // Stores a 2M page: the aligned entry and 511 tails that repeat Assigned and hold zeros.
  void store_large(SystemPhysical at, const snp::RmpEntry& value);
  // Splits the 2M page that contains at into 512 entries with consecutive GPAs.
  void smash(SystemPhysical at);

  u64 assigned_pages(Asid asid) const;

 private:
  u8* slot(SystemPhysical at) const {
    const SystemPhysical where = entries_ + at.page_number() * sizeof(snp::RmpEntry);
    return dram_.frame(where, KeyId::none) + where.page_offset();
  }
  void put(SystemPhysical at, const snp::RmpEntry& value) { store_le(slot(at), value); }
  u8* counter(Asid asid) const;
  void count_owner(SystemPhysical at, const snp::RmpEntry& before, const snp::RmpEntry& after);
  u64 count_assigned_tails(SystemPhysical base) const;

  Dram& dram_;
  SystemPhysical base_{0};
  SystemPhysical end_{0};
  SystemPhysical bookkeeping_{0};
  SystemPhysical entries_{0};
  u64 covered_pages_ = 0;
};

}  // namespace softsnp::memory
