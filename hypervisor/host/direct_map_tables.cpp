#include "hypervisor/host/direct_map_tables.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "hypervisor/host/error.hpp"

namespace softsnp::host {
namespace {

namespace pte = x86::pte;
constexpr u64 entries_per_table = 512;
constexpr u64 leaf_bits =
    pte::present | pte::write | pte::accessed | pte::dirty | pte::global | pte::nx;
constexpr u64 table_bits = pte::present | pte::write | pte::accessed;

// What one table of a level maps: 2 MiB, 1 GiB, 512 GiB, 256 TiB.
constexpr u64 span_of(unsigned level) {
  return large_page_size << (9 * (level - 1));
}

constexpr u64 table_count(unsigned level, u64 dram_bytes) {
  return (dram_bytes + span_of(level) - 1) / span_of(level);
}

constexpr unsigned level_of(MappingSize size) {
  return static_cast<unsigned>(size) + 1;
}

}  // namespace

DirectMapTables::DirectMapTables(machine::HostPort& port, PageAllocator& allocator)
    : port_(port), dram_bytes_(align_down(port.dram_bytes(), page_size)) {
  u64 pages = 0;
  for (unsigned level = 1; level <= 4; ++level) {
    pages += table_count(level, dram_bytes_);
  }
  // The allocator hands out the lowest free frame: frames taken at the start lie side by side.
  const u64 frames = align_up(pages * page_size, large_page_size) / large_page_size;
  for (u64 i = 0; i < frames; ++i) {
    const auto frame = allocator.allocate(PageSize::size_2m);
    if (!frame || (i != 0 && *frame != tables_ + i * large_page_size)) {
      broken_invariant("no room for the direct map's tables");
    }
    tables_ = i == 0 ? *frame : tables_;
  }
  broken_.resize(table_count(2, dram_bytes_));
  build();
}

SystemPhysical DirectMapTables::table(unsigned level, SystemPhysical at) const {
  u64 index = at.value() / span_of(level);
  for (unsigned above = 4; above > level; --above) {
    index += table_count(above, dram_bytes_);
  }
  return tables_ + index * page_size;
}

SystemPhysical DirectMapTables::slot(unsigned level, SystemPhysical at) const {
  const u64 index = at.value() % span_of(level) / (span_of(level) / entries_per_table);
  return table(level, at) + index * sizeof(u64);
}

u64 DirectMapTables::read(SystemPhysical slot) const {
  std::array<u8, sizeof(u64)> raw{};
  if (!port_.load(slot, raw)) {
    broken_invariant("a table of the direct map cannot be read");
  }
  return load_le<u64>(raw.data());
}

void DirectMapTables::write(SystemPhysical slot, u64 entry) {
  std::array<u8, sizeof(u64)> raw;
  store_le<u64>(raw.data(), entry);
  if (!port_.store(slot, raw, PageSize::size_2m)) {
    broken_invariant("a table of the direct map cannot be written");
  }
}

// Entries for what lies in DRAM from first on, step bytes each.
void DirectMapTables::fill(SystemPhysical table, SystemPhysical first, u64 step, u64 flags) {
  std::array<u8, page_size> raw{};
  for (u64 i = 0; i < entries_per_table; ++i) {
    const u64 at = first.value() + i * step;
    if (at + step <= dram_bytes_) {
      store_le<u64>(raw.data() + i * sizeof(u64), at | flags);
    }
  }
  if (!port_.store(table, raw, PageSize::size_2m)) {
    broken_invariant("a table of the direct map cannot be written");
  }
}

void DirectMapTables::count(MappingSize size, bool present, i64 leaves) {
  if (!present) {
    census_.unmapped_pages += static_cast<u64>(leaves) * (bytes(size) / page_size);
    return;
  }
  u64& counter = size == MappingSize::size_1g   ? census_.huge
                 : size == MappingSize::size_2m ? census_.large
                                                : census_.small;
  counter += static_cast<u64>(leaves);
}

// Largest pages first; the ends of DRAM that no larger page fits take smaller ones.
void DirectMapTables::build() {
  for (u64 at = 0; at < dram_bytes_; at += span_of(3)) {
    write(slot(4, SystemPhysical(at)), table(3, SystemPhysical(at)).value() | table_bits);
  }
  for (u64 at = 0; at < dram_bytes_;) {
    const SystemPhysical here(at);
    MappingSize size = MappingSize::size_1g;
    while (size != MappingSize::size_4k && !can_be(here, size)) {
      size = static_cast<MappingSize>(static_cast<unsigned>(size) - 1);
    }
    for (unsigned level = 3; level > level_of(size); --level) {
      write(slot(level, here), table(level - 1, here).value() | table_bits);
    }
    write(slot(level_of(size), here),
          at | leaf_bits | (size == MappingSize::size_4k ? 0 : pte::large));
    count(size, true, 1);
    at += bytes(size);
  }
}

bool DirectMapTables::can_be(SystemPhysical at, MappingSize size) const {
  return align_down(at.value(), bytes(size)) + bytes(size) <= dram_bytes_;
}

DirectMapTables::Mapping DirectMapTables::walk(SystemPhysical at) const {
  u64 entry = read(slot(4, at));
  for (unsigned level = 3;; --level) {
    const SystemPhysical next(entry & pte::address_mask);
    const u64 index = at.value() % span_of(level) / (span_of(level) / entries_per_table);
    entry = read(next + index * sizeof(u64));
    const bool present = (entry & pte::present) != 0;
    if (level == 1 || !present || (entry & pte::large) != 0) {
      return {static_cast<MappingSize>(level - 1), present};
    }
  }
}

void DirectMapTables::split(SystemPhysical at, MappingSize from) {
  const unsigned level = level_of(from);
  const SystemPhysical first(align_down(at.value(), bytes(from)));
  const bool present = walk(at).present;
  const auto smaller = static_cast<MappingSize>(static_cast<unsigned>(from) - 1);
  const u64 flags = smaller == MappingSize::size_4k ? leaf_bits : leaf_bits | pte::large;
  fill(table(level - 1, at), first, bytes(smaller), present ? flags : flags & ~pte::present);
  write(slot(level, at), table(level - 1, at).value() | table_bits);
  count(from, present, -1);
  count(smaller, present, entries_per_table);
  if (from == MappingSize::size_2m && present) {
    ++broken_[at.value() / huge_page_size];
  }
}

void DirectMapTables::split_to(SystemPhysical at, MappingSize size) {
  for (MappingSize now = walk(at).size; now > size; now = walk(at).size) {
    split(at, now);
  }
}

void DirectMapTables::join(SystemPhysical at, MappingSize size) {
  const SystemPhysical first(align_down(at.value(), bytes(size)));
  const Mapping now = walk(first);
  if (now == Mapping{size, true}) {
    return;
  }
  if (now.size == size) {
    set_present(first, size, true);
    return;
  }
  write(slot(level_of(size), first), first.value() | leaf_bits | pte::large);
  count(now.size, true, -static_cast<i64>(entries_per_table));
  count(size, true, 1);
  if (size == MappingSize::size_2m) {
    --broken_[at.value() / huge_page_size];
  }
}

void DirectMapTables::set_present(SystemPhysical at, MappingSize size, bool present) {
  const Mapping now = walk(at);
  if (now.size != size) {
    broken_invariant("a leaf of the direct map has another size");
  }
  if (now.present == present) {
    return;
  }
  const SystemPhysical where = slot(level_of(size), at);
  write(where, read(where) ^ pte::present);
  count(size, now.present, -1);
  count(size, present, 1);
  if (size == MappingSize::size_2m) {
    broken_[at.value() / huge_page_size] += present ? u16(-1) : u16{1};
  }
}

}  // namespace softsnp::host
