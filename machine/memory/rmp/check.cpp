// The access decision. Hardware sheet 5.1, 5.2 (APM2 table 15-37) and 6.3 (table 15-39).
#include "machine/memory/rmp/decision_table.hpp"
#include "machine/memory/rmp/rmp.hpp"

namespace softsnp::memory {

bool Rmp::hypervisor_owned(SystemPhysical at, PageSize mapping_size) const {
  if (!table_.covered(at)) {
    return true;
  }
  return mapping_size == PageSize::size_2m ? table_.region_unassigned(at)
                                           : !table_.load(at).assigned();
}

// Covered, Guest-Owned, Reverse-Map, Mutable. The gPA is compared at the size of the RMP's page.
Rule Rmp::check_owner(const Asker& asker, SystemPhysical spa, GuestPhysical gpa,
                      snp::RmpEntry& entry) const {
  if (!table_.covered(spa)) {
    return Rule::covered;
  }
  entry = table_.load_effective(spa);
  if (!entry.assigned() || entry.asid() != asker.asid) {
    return Rule::guest_owned;
  }
  if (entry.gpa() != (is_large(entry) ? gpa.large_page() : gpa.page())) {
    return Rule::reverse_map;
  }
  return entry.immutable() ? Rule::is_mutable : Rule::none;
}

Rule Rmp::check_private(const AccessRequest& request) const {
  snp::RmpEntry entry;
  const Rule owner = check_owner(request.asker, request.spa, request.gpa, entry);
  if (owner != Rule::none) {
    return owner;
  }
  if (entry.size() != request.mapping_size) {
    return Rule::page_size;
  }
  if (!entry.validated()) {
    return Rule::validated;
  }
  const u8 needed = needed_permissions(request.kind, request.user);
  return (entry.permissions(request.asker.vmpl) & needed) == needed ? Rule::none : Rule::vmpl;
}

Rule Rmp::check(const AccessRequest& request) const {
  if (!enabled_) {
    return Rule::none;
  }
  switch (checks_for(request.asker.kind, request.kind, request.encrypted)) {
    case CheckSet::none:
      return Rule::none;
    case CheckSet::hypervisor_owned:
      return hypervisor_owned(request.spa, request.mapping_size) ? Rule::none
                                                                 : Rule::hypervisor_owned;
    case CheckSet::private_page:
      return check_private(request);
  }
  return Rule::covered;
}

Rule Rmp::check_host_page(SystemPhysical page) const {
  const bool passes = !enabled_ || hypervisor_owned(page, PageSize::size_4k);
  return passes ? Rule::none : Rule::hypervisor_owned;
}

// Reverse-Map has nothing to compare with: the VMCB carries the sPA alone (sheet 6.3, trap 2), so
// any gPA passes. Validated and Page-Size are not in the list (trap 1).
Rule Rmp::check_snp_vmsa(SystemPhysical page, Asid asid) const {
  if (!enabled_) {
    return Rule::none;
  }
  if (!table_.covered(page)) {
    return Rule::covered;
  }
  const snp::RmpEntry entry = table_.load_effective(page);
  if (!entry.assigned() || entry.asid() != asid) {
    return Rule::guest_owned;
  }
  if (entry.immutable()) {
    return Rule::is_mutable;
  }
  return entry.vmsa() ? Rule::none : Rule::vmsa;
}

}  // namespace softsnp::memory
