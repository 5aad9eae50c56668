// Private memory becomes shared and back, in Linux's order (GHCB sheet 6.2, 6.3). Contents do not
// survive: whoever needs them copies them.
#pragma once

#include "guest/runtime/page_map.hpp"
#include "guest/runtime/page_state.hpp"
#include "guest/runtime/validation.hpp"

namespace softsnp::guest {

// All or nothing: after a failure the whole range is what it was before, with undefined contents -
// unless the cause is rollback_failed: then its state is unknown and the guest must not go on.
class MemoryConversion {
 public:
  MemoryConversion(PageStatePath& path, Validation& validation, PageMap& map,
                   PageSizes sizes = PageSizes::large_too)
      : path_(path), validation_(validation), map_(map), sizes_(sizes) {}

  Checked<void> make_shared(PageRange range);
  Checked<void> make_private(PageRange range);

 private:
  using Entries = PageBatch::Entries;
  using BatchStep = Checked<void> (MemoryConversion::*)(Entries);

  Checked<void> share(Entries entries);
  Checked<void> unshare(Entries entries);
  // Whole entries, and the first pages of one more, back to what they were.
  bool set_first(Entries entries, const Interrupted& reached, ghcb::PageOperation operation);
  bool validate_first(Entries entries, const Interrupted& reached, bool validated);
  Checked<PageRange> for_each_batch(PageRange range, BatchStep step, Cause& cause);

  PageStatePath& path_;
  Validation& validation_;
  PageMap& map_;
  PageSizes sizes_;
};

}  // namespace softsnp::guest
