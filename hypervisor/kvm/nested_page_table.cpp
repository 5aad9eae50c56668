#include "hypervisor/kvm/nested_page_table.hpp"

#include <algorithm>

#include "arch/x86/registers.hpp"

namespace softsnp::kvm {
namespace pte = x86::pte;
namespace {

// Nested walks are user accesses (APM2 15.25.5). Accessed and dirty are set at once: nobody here
// looks at them, and hardware need not write them.
constexpr u64 table_bits = pte::present | pte::write | pte::user | pte::accessed;
constexpr u64 leaf_bits = table_bits | pte::dirty;

constexpr unsigned shift_of(unsigned level) {
  return page_shift + 9 * (level - 1);
}
constexpr u64 span_of(unsigned level) {
  return u64{1} << shift_of(level);
}
SystemPhysical slot(SystemPhysical table, GuestPhysical gpa, unsigned level) {
  return table + ((gpa.value() >> shift_of(level)) & 511) * 8;
}
SystemPhysical target(u64 entry) {
  return SystemPhysical(entry & pte::address_mask);
}
bool is_leaf(u64 entry, unsigned level) {
  return level == 1 || (entry & pte::large) != 0;
}

}  // namespace

NestedPageTable::NestedPageTable(host::HostMemory& memory, u64 mmio_bits)
    : memory_(memory), mmio_bits_(mmio_bits) {
  if (const auto root = new_table()) {
    root_ = *root;
  }
}

NestedPageTable::~NestedPageTable() {
  for (const SystemPhysical table : tables_) {
    memory_.release(table, PageSize::size_4k);
  }
}

std::optional<SystemPhysical> NestedPageTable::new_table() {
  if (!spare_.empty()) {
    const SystemPhysical table = spare_.back();
    spare_.pop_back();
    return table;
  }
  const auto page = memory_.allocate(PageSize::size_4k);
  if (page) {
    tables_.push_back(*page);
  }
  return page;
}

void NestedPageTable::recycle(SystemPhysical table) {
  if (!memory_.clear_page(table)) {
    host::broken_invariant("a nested page table cannot be cleared");
  }
  spare_.push_back(table);
}

u64 NestedPageTable::read(SystemPhysical table, GuestPhysical gpa, unsigned level) const {
  return memory_.load_value<u64>(slot(table, gpa, level));
}

void NestedPageTable::write(SystemPhysical table, GuestPhysical gpa, unsigned level, u64 entry) {
  memory_.store_value(slot(table, gpa, level), entry);
}

// The table whose entries are leaves of leaf_level for gpa; made if absent. A 2 MiB leaf in the way
// gives way: its pages fault in again one by one.
std::optional<SystemPhysical> NestedPageTable::table_for(GuestPhysical gpa, unsigned leaf_level) {
  if (root_ == SystemPhysical(0) || gpa.value() >= gpa_limit) {
    return std::nullopt;
  }
  SystemPhysical table = root_;
  for (unsigned level = top_level; level > leaf_level; --level) {
    const u64 entry = read(table, gpa, level);
    if ((entry & pte::present) != 0 && !is_leaf(entry, level)) {
      table = target(entry);
      continue;
    }
    const auto next = new_table();
    if (!next) {
      return std::nullopt;
    }
    write(table, gpa, level, next->value() | table_bits);
    table = *next;
  }
  return table;
}

NestedPageTable::MapResult NestedPageTable::map(GuestPhysical gpa, SystemPhysical spa,
                                                PageSize size, bool writable) {
  const unsigned level = size == PageSize::size_2m ? 2 : 1;
  const auto table = table_for(gpa, level);
  if (!table) {
    return MapResult::out_of_memory;
  }
  const u64 old = read(*table, gpa, level);
  write(*table, gpa, level,
        spa.value() | (writable ? leaf_bits : leaf_bits & ~pte::write) |
            (level == 2 ? pte::large : 0));
  if ((old & pte::present) != 0 && !is_leaf(old, level)) {
    recycle(target(old));
  }
  return MapResult::mapped;
}

NestedPageTable::MapResult NestedPageTable::map_mmio(GuestPhysical page) {
  const auto table = table_for(page, 1);
  if (!table) {
    return MapResult::out_of_memory;
  }
  write(*table, page, 1, mmio_bits_ | pte::present | pte::write | pte::user);
  return MapResult::mapped;
}

std::optional<NestedPageTable::Mapping> NestedPageTable::lookup(GuestPhysical gpa) const {
  if (root_ == SystemPhysical(0) || gpa.value() >= gpa_limit) {
    return std::nullopt;
  }
  SystemPhysical table = root_;
  for (unsigned level = top_level; level > 0; --level) {
    const u64 entry = read(table, gpa, level);
    if ((entry & pte::present) == 0) {
      return std::nullopt;
    }
    if (is_leaf(entry, level)) {
      const bool is_mmio = mmio_bits_ != 0 && (entry & mmio_bits_) == mmio_bits_;
      const u64 base = align_down(entry & pte::address_mask, span_of(level));
      return Mapping{SystemPhysical(base), level == 2 ? PageSize::size_2m : PageSize::size_4k,
                     is_mmio, (entry & pte::write) != 0};
    }
    table = target(entry);
  }
  return std::nullopt;
}

bool NestedPageTable::unmap_in(SystemPhysical table, unsigned level, GuestPhysical first,
                               u64 bytes) {
  bool any = false;
  const GuestPhysical end = first + bytes;
  for (GuestPhysical at = first; at < end;) {
    const GuestPhysical next(align_down(at.value(), span_of(level)) + span_of(level));
    const u64 entry = read(table, at, level);
    if ((entry & pte::present) != 0) {
      if (is_leaf(entry, level)) {
        write(table, at, level, 0);
        any = true;
      } else {
        any |= unmap_in(target(entry), level - 1, at, std::min(next, end) - at);
      }
    }
    at = next;
  }
  return any;
}

bool NestedPageTable::unmap(GuestPhysical first, u64 bytes) {
  if (root_ == SystemPhysical(0) || first.value() >= gpa_limit) {
    return false;
  }
  return unmap_in(root_, top_level, first, std::min(bytes, gpa_limit - first.value()));
}

}  // namespace softsnp::kvm
