// Which checks apply to an access, and what a VMPL needs for it, as data.
// Hardware sheet 5.2 (APM2 table 15-37) and 6.1.
#pragma once

#include <array>

#include "arch/snp/rmp.hpp"
#include "machine/memory/rmp/access.hpp"

namespace softsnp::memory {

enum class CheckSet : u8 {
  none,
  hypervisor_owned,
  // Covered, Guest-Owned, Reverse-Map, Mutable, Page-Size, Validated, VMPL: first no wins.
  private_page,
};

struct DecisionRow {
  AskerKind who;
  AccessKind access;
  CheckSet shared;     // effective C-bit 0
  CheckSet encrypted;  // effective C-bit 1
};

// Device rows: the IOMMU admits hypervisor-owned pages only, for reads too (sheet 2.3, DMA).
inline constexpr std::array decision_table = {
    DecisionRow{AskerKind::host, AccessKind::read, CheckSet::none, CheckSet::none},
    DecisionRow{AskerKind::host, AccessKind::write, CheckSet::hypervisor_owned,
                CheckSet::hypervisor_owned},
    DecisionRow{AskerKind::host, AccessKind::fetch, CheckSet::none, CheckSet::none},
    DecisionRow{AskerKind::host, AccessKind::table_walk, CheckSet::hypervisor_owned,
                CheckSet::hypervisor_owned},
    DecisionRow{AskerKind::guest, AccessKind::read, CheckSet::none, CheckSet::none},
    DecisionRow{AskerKind::guest, AccessKind::write, CheckSet::hypervisor_owned,
                CheckSet::hypervisor_owned},
    DecisionRow{AskerKind::guest, AccessKind::fetch, CheckSet::none, CheckSet::none},
    DecisionRow{AskerKind::guest, AccessKind::table_walk, CheckSet::hypervisor_owned,
                CheckSet::hypervisor_owned},
    DecisionRow{AskerKind::snp_guest, AccessKind::read, CheckSet::none, CheckSet::private_page},
    DecisionRow{AskerKind::snp_guest, AccessKind::write, CheckSet::hypervisor_owned,
                CheckSet::private_page},
    DecisionRow{AskerKind::snp_guest, AccessKind::fetch, CheckSet::private_page,
                CheckSet::private_page},
    DecisionRow{AskerKind::snp_guest, AccessKind::table_walk, CheckSet::private_page,
                CheckSet::private_page},
    DecisionRow{AskerKind::device, AccessKind::read, CheckSet::hypervisor_owned,
                CheckSet::hypervisor_owned},
    DecisionRow{AskerKind::device, AccessKind::write, CheckSet::hypervisor_owned,
                CheckSet::hypervisor_owned},
    DecisionRow{AskerKind::device, AccessKind::fetch, CheckSet::hypervisor_owned,
                CheckSet::hypervisor_owned},
    DecisionRow{AskerKind::device, AccessKind::table_walk, CheckSet::hypervisor_owned,
                CheckSet::hypervisor_owned},
};

constexpr usize row_index(AskerKind who, AccessKind access) {
  return static_cast<usize>(who) * 4 + static_cast<usize>(access);
}

constexpr bool decision_table_is_ordered() {
  for (usize i = 0; i < decision_table.size(); ++i) {
    if (row_index(decision_table[i].who, decision_table[i].access) != i) {
      return false;
    }
  }
  return decision_table.size() == 16;
}
static_assert(decision_table_is_ordered(), "rows are looked up by position");

constexpr CheckSet checks_for(AskerKind who, AccessKind access, bool encrypted) {
  const DecisionRow& row = decision_table[row_index(who, access)];
  return encrypted ? row.encrypted : row.shared;
}

// Bits of its mask that a VMPL needs. Write without read makes any data access fault. What a table
// walk needs is UNVERIFIED in sheet 6.1: read for the walk here; the asker's A/D update is a write
// of its own.
constexpr u8 needed_permissions(AccessKind access, bool user) {
  switch (access) {
    case AccessKind::read:
    case AccessKind::table_walk:
      return snp::permission::read;
    case AccessKind::write:
      return snp::permission::read | snp::permission::write;
    case AccessKind::fetch:
      return user ? snp::permission::execute_user : snp::permission::execute_supervisor;
  }
  return snp::permission::all;
}

}  // namespace softsnp::memory
