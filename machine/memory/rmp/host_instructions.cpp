// RMPUPDATE, PSMASH, RMPREAD. Hardware sheet 4.4, 4.5, 4.8; row numbers are the sheet's.
#include "machine/memory/rmp/rmp.hpp"

namespace softsnp::memory {
namespace {

using snp::RmpEntry;
using snp::RmpResult;
using snp::RmpUpdate;

bool wants_assigned(const RmpUpdate& value) {
  return has_bit(value.assigned, 0);
}
bool wants_immutable(const RmpUpdate& value) {
  return has_bit(value.immutable, 0);
}

// What the operand names of an entry (rows 11-14).
RmpEntry new_entry(const RmpUpdate& value, PageSize size) {
  RmpEntry entry;
  if (wants_assigned(value)) {  // row 12: else zeros, size 4K
    entry.set_assigned(true);
    entry.set_size(size);
    entry.set_immutable(wants_immutable(value));
    entry.set_gpa(GuestPhysical(value.gpa));
    entry.set_asid(static_cast<Asid>(value.asid));
  }
  return entry;
}

bool same_mapping(const RmpEntry& a, const RmpEntry& b) {
  return a.assigned() == b.assigned() && a.asid() == b.asid() && a.gpa() == b.gpa() &&
         a.size() == b.size();
}

// Row 13: a changed mapping starts unvalidated, with all rights at VMPL0 only. Row 14: else
// Validated, VMSA and masks survive. The firmware's lock bit never survives an x86 write.
void carry_over(const RmpEntry& old, RmpEntry& entry) {
  if (!entry.assigned()) {
    return;
  }
  if (!same_mapping(old, entry) || entry.asid() == Asid::host) {
    entry.set_permissions(Vmpl::vmpl0, snp::permission::all);
    return;
  }
  entry.set_validated(old.validated());
  entry.set_vmsa(old.vmsa());
  entry.high = old.high;
}

}  // namespace

// Out-of-range ASID and GPA: hardware sheet 11. Low bits of the sPA and reserved bits of the
// operand are ignored.
RmpResult Rmp::rmpupdate_input(SystemPhysical at, PageSize size, const RmpUpdate& value) const {
  const bool misaligned = size == PageSize::size_2m && at != at.large_page();  // row 4
  const bool contradiction =
      !wants_assigned(value) && (wants_immutable(value) || value.asid != 0);  // row 5
  const bool out_of_range = value.asid > snp::max_asid || (value.gpa >> 51) != 0;
  const bool no_entry = !covered(at, size);  // row 6
  return misaligned || contradiction || out_of_range || no_entry ? RmpResult::fail_input
                                                                 : RmpResult::success;
}

// The lock bit of an immutable entry is the firmware's copy of Immutable (hardware sheet 3.1) and
// means permission; alone it is an update in progress.
bool Rmp::busy(SystemPhysical at, PageSize size) const {
  if (in_use_.any(at, size)) {
    return true;
  }
  const SystemPhysical first = size == PageSize::size_2m ? at.large_page() : at.page();
  for (u64 offset = 0; offset < bytes(size); offset += page_size) {
    const RmpEntry entry = table_.load(first + offset);
    if (entry.locked() && !entry.immutable()) {
      return true;
    }
  }
  return false;
}

bool Rmp::has_immutable_tail(SystemPhysical base) const {
  for (u64 offset = page_size; offset < large_page_size; offset += page_size) {
    if (table_.load(base + offset).immutable()) {
      return true;
    }
  }
  return false;
}

RmpResult Rmp::rmpupdate_conflict(SystemPhysical at, PageSize size) const {
  const RmpEntry old = table_.load(at);
  if (old.immutable()) {  // row 8
    return RmpResult::fail_permission;
  }
  if (size == PageSize::size_4k) {  // rows 9, 9b
    return is_large(table_.load(at.large_page())) ? RmpResult::fail_overlap : RmpResult::success;
  }
  if (old.sub_page_count() != 0) {  // row 10
    return RmpResult::fail_overlap;
  }
  // Not in the sheet: HV-Fixed tails are immutable without being assigned; a 2M page must not
  // swallow them.
  return has_immutable_tail(at) ? RmpResult::fail_permission : RmpResult::success;
}

RmpResult Rmp::rmpupdate(SystemPhysical spa, const RmpUpdate& value, Asid asid) {
  const SystemPhysical at = spa.page();
  const auto size = static_cast<PageSize>(value.page_size & 1);
  if (asid != Asid::host) {  // row 2
    return RmpResult::fail_permission;
  }
  if (const RmpResult input = rmpupdate_input(at, size, value); input != RmpResult::success) {
    return input;
  }
  if (busy(at, size)) {  // row 7
    return RmpResult::fail_inuse;
  }
  if (const RmpResult conflict = rmpupdate_conflict(at, size); conflict != RmpResult::success) {
    return conflict;
  }
  RmpEntry entry = new_entry(value, size);
  carry_over(table_.load(at), entry);
  change(at, size, entry, RmpCause{RmpAgent::rmpupdate, Asker{}, 0, 0});
  return RmpResult::success;
}

RmpResult Rmp::psmash(SystemPhysical at, Asid asid) {
  if (asid != Asid::host) {  // row 1
    return RmpResult::fail_permission;
  }
  if (!at.is_large_page_aligned() || !covered(at, PageSize::size_2m)) {  // row 2
    return RmpResult::fail_input;
  }
  if (busy(at, PageSize::size_2m)) {  // row 3
    return RmpResult::fail_inuse;
  }
  const RmpEntry old = table_.load(at);
  if (!is_large(old) || old.immutable()) {  // row 4
    return RmpResult::fail_not_eligible;
  }
  const bool was_free = table_.region_unassigned(at);
  table_.smash(at);
  report(at, PageSize::size_2m, old, was_free, RmpCause{RmpAgent::psmash, Asker{}, 0, 0});
  return RmpResult::success;
}

// The entry as stored: of a tail of a 2M page only Assigned (hardware sheet 3.1).
RmpResult Rmp::rmpread(SystemPhysical at, Asid asid, RmpUpdate& out) const {
  if (asid != Asid::host) {
    return RmpResult::fail_permission;
  }
  if (!covered(at)) {
    return RmpResult::fail_input;
  }
  const RmpEntry entry = table_.load(at);
  const bool region_has_small =
      !is_large(table_.load(at.large_page())) && !table_.region_unassigned(at);
  out = RmpUpdate{};
  out.gpa = entry.gpa().value();
  out.assigned = entry.assigned() ? 1 : 0;
  out.page_size = static_cast<u8>(static_cast<u8>(entry.size()) | (region_has_small ? 2 : 0));
  out.immutable = entry.immutable() ? 1 : 0;
  out.asid = number(entry.asid());
  return RmpResult::success;
}

}  // namespace softsnp::memory
