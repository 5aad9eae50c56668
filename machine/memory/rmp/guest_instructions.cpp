// PVALIDATE, RMPADJUST, RMPQUERY after privilege checks and translation.
// Hardware sheet 4.6-4.8 and the size matrix of 5.3; row numbers are the sheet's.
#include "machine/memory/rmp/rmp.hpp"

namespace softsnp::memory {
namespace {

using snp::RmpEntry;
using snp::RmpResult;

GuestRmpOutcome answer(RmpResult result) {
  return {.result = result};
}
GuestRmpOutcome deny(Rule rule) {
  return {.denied = rule};
}

}  // namespace

bool Rmp::refuse_size(const GuestPage& page, PageSize size, const RmpEntry& entry,
                      GuestRmpOutcome& outcome) const {
  if (size == PageSize::size_2m && entry.size() == PageSize::size_4k) {
    outcome.result = RmpResult::fail_sizemismatch;
    return true;
  }
  // SIZEM tells that the request differs from the RMP; a nested page of another size alone is the
  // plain Page-Size fault (sheet 5.3, second matrix).
  outcome.sizem = size != entry.size();
  outcome.denied =
      outcome.sizem || page.mapping_size != entry.size() ? Rule::page_size : Rule::none;
  return outcome.denied != Rule::none;
}

GuestRmpOutcome Rmp::pvalidate(const GuestPage& page, PageSize size, bool gva_aligned,
                               bool validate, u64 rip) {
  if (size == PageSize::size_2m && !gva_aligned) {  // row 2
    return answer(RmpResult::fail_input);
  }
  RmpEntry entry;
  const Rule owner = check_owner(page.asker, page.spa, page.gpa, entry);  // row 5
  if (owner != Rule::none) {
    return deny(owner);
  }
  GuestRmpOutcome outcome;
  if (refuse_size(page, size, entry, outcome)) {  // rows 6, 7
    return outcome;
  }
  outcome.carry = entry.validated() == validate;  // row 8
  if (!outcome.carry) {
    entry.set_validated(validate);  // row 9
    change_effective(page.spa, entry, RmpCause{RmpAgent::pvalidate, page.asker, rip, 0});
  }
  return outcome;
}

GuestRmpOutcome Rmp::rmpadjust(const GuestPage& page, PageSize size, bool gva_aligned,
                               u64 target_vmpl, u8 mask, bool vmsa, u64 rip) {
  if ((size == PageSize::size_2m && !gva_aligned) || target_vmpl >= vmpl_count) {  // row 2
    return answer(RmpResult::fail_input);
  }
  if (target_vmpl <= number(page.asker.vmpl)) {  // row 3
    return answer(RmpResult::fail_permission);
  }
  RmpEntry entry;
  const Rule owner = check_owner(page.asker, page.spa, page.gpa, entry);  // row 4
  if (owner != Rule::none) {
    return deny(owner);
  }
  if (!entry.validated()) {  // row 5
    return deny(Rule::validated);
  }
  GuestRmpOutcome outcome;
  if (refuse_size(page, size, entry, outcome)) {  // rows 6, 7
    return outcome;
  }
  if ((mask & ~entry.permissions(page.asker.vmpl)) != 0) {  // row 8
    return answer(RmpResult::fail_permission);
  }
  entry.set_permissions(static_cast<Vmpl>(target_vmpl), mask);  // row 10
  if (page.asker.vmpl == Vmpl::vmpl0) {
    entry.set_vmsa(vmsa);
  }
  change_effective(page.spa, entry, RmpCause{RmpAgent::rmpadjust, page.asker, rip, 0});
  return outcome;
}

// The sheet leaves open when code 2 arises and which page checks apply: a target more privileged
// than the caller (or none that exists), then the checks of RMPADJUST rows 4 and 5.
GuestRmpOutcome Rmp::rmpquery(const GuestPage& page, u64 target_vmpl, RmpQueryOutput& out) const {
  if (target_vmpl < number(page.asker.vmpl) || target_vmpl >= vmpl_count) {
    return answer(RmpResult::fail_permission);
  }
  RmpEntry entry;
  const Rule owner = check_owner(page.asker, page.spa, page.gpa, entry);
  if (owner != Rule::none) {
    return deny(owner);
  }
  if (!entry.validated()) {
    return deny(Rule::validated);
  }
  out = {entry.size(), entry.permissions(static_cast<Vmpl>(target_vmpl)), entry.vmsa()};
  return {};
}

}  // namespace softsnp::memory
