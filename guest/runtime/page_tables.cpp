#include "guest/runtime/page_tables.hpp"

#include "arch/x86/registers.hpp"

namespace softsnp::guest {

namespace pte = x86::pte;

u64* PageTables::table(u64 entry) const {
  return map_.pointer<u64>(GuestPhysical(entry & pte::address_mask & ~c_bit_));
}

u64* PageTables::directory_entry(GuestVirtual at) const {
  u64* level = table(processor_.read_cr3());
  for (const unsigned shift : {39u, 30u}) {
    const u64 entry = level[(at.value() >> shift) & 511];
    if ((entry & pte::present) == 0 || (shift == 30 && (entry & pte::large) != 0)) {
      return nullptr;
    }
    level = table(entry);
  }
  return &level[(at.value() >> 21) & 511];
}

void PageTables::apply(u64& entry, bool encrypted) const {
  entry = encrypted ? entry | c_bit_ : entry & ~c_bit_;
}

bool PageTables::split(u64& entry) {
  if (used_ == spare_.size()) {
    return false;
  }
  PageTable& leaves = spare_[used_++];
  // Bit 12 of a large entry is its PAT bit, bit 7 of a small one.
  constexpr u64 large_address = mask_bits(51, 21);
  const u64 flags = entry & ~pte::address_mask & ~pte::large;
  const u64 pat = (entry & bit(12)) != 0 ? pte::large : 0;
  for (unsigned i = 0; i < 512; ++i) {
    leaves.entries[i] = ((entry & large_address) + i * page_size) | flags | pat;
  }
  const u64 at = map_.of(&leaves).value();
  entry = at | (pte::present | pte::write) | (flags & pte::user) | c_bit_;
  return true;
}

// Calls act(entry, first leaf, pages) for each 2 MiB region that the range touches.
template <class F>
Checked<void> PageTables::for_each_region(const PageRange& range, F&& act) {
  for (PageRange rest = range; rest.pages != 0;) {
    const GuestVirtual at = map_.at(rest.first);
    u64* entry = directory_entry(at);
    if (entry == nullptr || (*entry & pte::present) == 0) {
      return fail(Cause::no_page_table);
    }
    const u64 leaf = at.page_number() % 512;
    const u64 pages = rest.pages < 512 - leaf ? rest.pages : 512 - leaf;
    if (!act(*entry, leaf, pages)) {
      return fail(Cause::no_page_table);
    }
    rest.first = rest.first + pages * page_size;
    rest.pages -= pages;
  }
  return {};
}

// Splits first: what can fail must not leave half of the range changed.
Checked<void> PageTables::set_encrypted(const PageRange& range, bool encrypted) {
  const auto ready = for_each_region(range, [&](u64& entry, u64, u64 pages) {
    return (entry & pte::large) == 0 || pages == 512 || split(entry);
  });
  if (!ready) {
    return ready;
  }
  (void)for_each_region(range, [&](u64& entry, u64 leaf, u64 pages) {
    if ((entry & pte::large) != 0) {
      apply(entry, encrypted);
      return true;
    }
    u64* leaves = table(entry);
    for (u64 i = leaf; i < leaf + pages; ++i) {
      apply(leaves[i], encrypted);
    }
    return true;
  });
  processor_.flush_tlb();
  return {};
}

}  // namespace softsnp::guest
