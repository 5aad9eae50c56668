#include "machine/memory/rmp/table.hpp"

#include <algorithm>

namespace softsnp::memory {
namespace {

// RMP_BASE is 8 KiB aligned (hardware sheet 1.4; the MSR's low bits are reserved), so that no entry
// straddles a frame.
constexpr u64 base_alignment = 0x2000;

u64 pages_described_by(SystemPhysical at, const snp::RmpEntry& entry) {
  return is_large(entry) && at.is_large_page_aligned() ? pages_per_large_page : 1;
}

}  // namespace

void RmpTable::set_range(SystemPhysical base, SystemPhysical end) {
  base_ = base;
  end_ = end;
  bookkeeping_ = SystemPhysical(align_down(base.value(), base_alignment));
  entries_ = bookkeeping_;
  covered_pages_ = 0;
  if (!entries_.checked_add(snp::rmp_bookkeeping_bytes) || end < entries_ ||
      !dram_.contains(entries_, sizeof(snp::RmpEntry))) {
    return;
  }
  const u64 programmed = (end - entries_) / sizeof(snp::RmpEntry) + 1;
  const u64 in_dram = (dram_.size() - entries_.value()) / sizeof(snp::RmpEntry);
  covered_pages_ = std::min(programmed, in_dram);
}

u8* RmpTable::counter(Asid asid) const {
  const SystemPhysical where = bookkeeping_ + u64{number(asid)} * sizeof(u64);
  return dram_.frame(where, KeyId::none) + where.page_offset();
}

u64 RmpTable::assigned_pages(Asid asid) const {
  const bool has_counter = number(asid) < snp::rmp_bookkeeping_bytes / sizeof(u64);
  return covered_pages_ != 0 && has_counter ? load_le<u64>(counter(asid)) : 0;
}

void RmpTable::count_owner(SystemPhysical at, const snp::RmpEntry& before,
                           const snp::RmpEntry& after) {
  const auto add = [&](const snp::RmpEntry& entry, bool gained) {
    if (entry.assigned() && entry.asid() != Asid::host) {
      const u64 pages = pages_described_by(at, entry);
      u8* total = counter(entry.asid());
      store_le(total, gained ? load_le<u64>(total) + pages : load_le<u64>(total) - pages);
    }
  };
  add(before, false);
  add(after, true);
}

u64 RmpTable::count_assigned_tails(SystemPhysical base) const {
  u64 count = 0;
  for (u64 i = 1; i < pages_per_large_page && covered(base + i * page_size); ++i) {
    count += load(base + i * page_size).assigned() ? 1 : 0;
  }
  return count;
}

void RmpTable::store(SystemPhysical at, const snp::RmpEntry& value) {
  const SystemPhysical base = at.large_page();
  const snp::RmpEntry before = load(at);
  snp::RmpEntry after = value;
  snp::RmpEntry aligned = load(base);
  if (at.page() == base) {
    const bool was_large = is_large(before);
    after.set_sub_page_count(is_large(after) ? 0
                             : was_large     ? count_assigned_tails(base)
                                             : before.sub_page_count());
  } else {
    after.set_sub_page_count(0);
    if (!is_large(aligned)) {
      const u64 without = aligned.sub_page_count() - (before.assigned() ? 1 : 0);
      aligned.set_sub_page_count(without + (after.assigned() ? 1 : 0));
      put(base, aligned);
    }
  }
  put(at, after);
  count_owner(at.page(), before, after);
}

void RmpTable::store_large(SystemPhysical at, const snp::RmpEntry& value) {
  const SystemPhysical base = at.large_page();
  snp::RmpEntry tail;
  tail.set_assigned(value.assigned());
  for (u64 i = 1; i < pages_per_large_page; ++i) {
    const SystemPhysical page = base + i * page_size;
    count_owner(page, load(page), tail);
    put(page, tail);
  }
  const snp::RmpEntry before = load(base);
  snp::RmpEntry after = value;
  after.set_sub_page_count(0);
  put(base, after);
  count_owner(base, before, after);
}

void RmpTable::smash(SystemPhysical at) {
  const SystemPhysical base = at.large_page();
  const snp::RmpEntry whole = load(base);
  snp::RmpEntry part = whole;
  part.set_size(PageSize::size_4k);
  for (u64 i = 1; i < pages_per_large_page; ++i) {
    part.set_gpa(whole.gpa() + i * page_size);
    put(base + i * page_size, part);
  }
  part.set_gpa(whole.gpa());
  part.set_sub_page_count(pages_per_large_page - 1);
  put(base, part);
  // The owner keeps its 512 pages: no counter changes.
}

}  // namespace softsnp::memory
