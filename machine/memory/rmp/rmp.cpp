#include "machine/memory/rmp/rmp.hpp"

#include "machine/memory/dram/invariant.hpp"

namespace softsnp::memory {

void Rmp::set_range(SystemPhysical base, SystemPhysical end) {
  table_.set_range(base, end);
  ++generation_;
  dram_.log().append_everything();
}

void Rmp::set_enabled(bool on) {
  if (enabled_ != on) {
    enabled_ = on;
    dram_.log().append_everything();
  }
}

snp::RmpEntry Rmp::entry(SystemPhysical at) const {
  if (!covered(at)) {
    broken_invariant("RMP entry read where none exists, sPA", at.value());
  }
  return table_.load(at);
}

snp::RmpEntry Rmp::effective_entry(SystemPhysical at) const {
  if (!covered(at)) {
    broken_invariant("RMP entry read where none exists, sPA", at.value());
  }
  return table_.load_effective(at);
}

void Rmp::write_entry(SystemPhysical at, const snp::RmpEntry& value, const RmpCause& cause) {
  if (!covered(at)) {
    broken_invariant("RMP entry written where none exists, sPA", at.value());
  }
  change(at.page(), PageSize::size_4k, value, cause);
}

void Rmp::write_page(SystemPhysical at, PageSize size, const snp::RmpEntry& value,
                     const RmpCause& cause) {
  const bool aligned = size == PageSize::size_4k || at.large_page() == at.page();
  if (!aligned || !covered(at, size)) {
    broken_invariant("RMP page written where none exists, sPA", at.value());
  }
  snp::RmpEntry sized = value;
  sized.set_size(value.assigned() ? size : PageSize::size_4k);
  change(at.page(), size, sized, cause);
}

void Rmp::change(SystemPhysical at, PageSize extent, const snp::RmpEntry& after,
                 const RmpCause& cause) {
  const snp::RmpEntry before = table_.load(at);
  const bool was_free = table_.region_unassigned(at);
  if (extent == PageSize::size_2m) {
    table_.store_large(at, after);
  } else {
    table_.store(at, after);
  }
  report(at, extent, before, was_free, cause);
}

void Rmp::change_effective(SystemPhysical at, const snp::RmpEntry& after, const RmpCause& cause) {
  const bool large = is_large(after);
  const SystemPhysical page = large ? at.large_page() : at.page();
  const snp::RmpEntry before = table_.load(page);
  const bool was_free = table_.region_unassigned(page);
  table_.store(page, after);
  report(page, large ? PageSize::size_2m : PageSize::size_4k, before, was_free, cause);
}

// was_free: before the change no page of the 2M region was assigned. Where that changes, so does
// the Hypervisor-Owned verdict of 2M mappings to any page of the region.
void Rmp::report(SystemPhysical page, PageSize extent, const snp::RmpEntry& before, bool was_free,
                 const RmpCause& cause) {
  const snp::RmpEntry after = table_.load(page);
  if (after == before && extent == PageSize::size_4k) {
    return;
  }
  ++generation_;
  const bool whole_region =
      extent == PageSize::size_2m || was_free != table_.region_unassigned(page);
  dram_.log().append(whole_region ? page.large_page() : page, Change::rmp_entry,
                     whole_region ? PageSize::size_2m : PageSize::size_4k);
  const RmpChange change{page, before, after, cause, extent, generation_};
  history_.add(change);
  if (observer_ != nullptr) {
    observer_->rmp_changed(change);
  }
}

}  // namespace softsnp::memory
