// A running guest's page tables as an observer reads them: no accessed bits, no faults, no TLB.
#pragma once

#include <array>
#include <optional>

#include "machine/cpu/mmu/guest_context.hpp"
#include "machine/memory/dram/dram.hpp"

namespace softsnp::observe {

// Where a linear address's translation ends in the guest's four-level tables (APM2 5.3).
struct GuestLeaf {
  u64 value = 0;       // the entry, C-bit included
  unsigned level = 0;  // 0: 4 KiB, 1: 2 MiB, 2: 1 GiB
  // The frames that hold the entries on the way, by level; those below level are not used.
  std::array<SystemPhysical, 4> tables;
};

// Nothing if the tables do not map the address, or have five levels.
std::optional<GuestLeaf> find_guest_leaf(memory::Dram& dram, const cpu::GuestContext& guest,
                                         u64 cr3, GuestVirtual address);

}  // namespace softsnp::observe
