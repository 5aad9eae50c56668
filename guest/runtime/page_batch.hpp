// A stretch of guest-physical memory, and the entries of a page state change that cover it: 2 MiB
// pages where both ends allow it, 4 KiB pages elsewhere. GHCB sheet 3.5, 6.1.
#pragma once

#include "arch/ghcb/page_state_change.hpp"
#include "base/view.hpp"
#include "guest/runtime/cause.hpp"

namespace softsnp::guest {

struct PageRange {
  GuestPhysical first;  // of a page
  u64 pages;            // of 4 KiB

  GuestPhysical end() const { return first + pages * page_size; }
};

enum class PageSizes : u8 { small_only, large_too };

// At most as many entries as one request holds. Lives on the stack (2 KiB).
class PageBatch {
 public:
  // Takes entries off the front of rest until the batch is full or rest is empty.
  PageBatch(PageRange& rest, PageSizes sizes) {
    while (rest.pages != 0 && count_ < ghcb::max_page_state_entries) {
      const bool large = sizes == PageSizes::large_too && rest.first.is_large_page_aligned() &&
                         rest.pages >= large_page_size / page_size;
      const PageSize size = large ? PageSize::size_2m : PageSize::size_4k;
      entries_[count_++] =
          ghcb::PageStateEntry::make(rest.first, ghcb::PageOperation::make_private, size);
      rest.first = rest.first + bytes(size);
      rest.pages -= bytes(size) / page_size;
    }
  }

  using Entries = View<const ghcb::PageStateEntry>;
  Entries all() const { return {entries_, count_}; }

 private:
  ghcb::PageStateEntry entries_[ghcb::max_page_state_entries];
  usize count_ = 0;
};

// The same page with another operation.
constexpr ghcb::PageStateEntry with_operation(ghcb::PageStateEntry entry,
                                              ghcb::PageOperation operation) {
  return ghcb::PageStateEntry::make(entry.gpa(), operation, entry.size());
}

// How far a step over a batch came before it failed: whole entries, and 4 KiB pages of the next
// one.
struct Interrupted {
  Cause cause;
  usize entries = 0;
  usize pages = 0;
};
using Step = Result<void, Interrupted>;

}  // namespace softsnp::guest
