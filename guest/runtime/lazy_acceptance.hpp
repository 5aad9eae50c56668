// Memory that is accepted when it is first touched: the #VC for a page that is not validated is the
// request. GHCB sheet 6.4; hardware sheet 7.2 (404h).
#pragma once

#include "guest/runtime/memory_conversion.hpp"

namespace softsnp::guest {

// Never validates a page twice: a bit is cleared before its block is accepted, and a fault outside
// of the blocks not accepted yet is the hypervisor's doing.
class LazyAcceptance {
 public:
  static constexpr u64 block_bytes = large_page_size;

  // One bit a block of 2 MiB from `first` on (2 MiB aligned), set: not accepted. The memory is
  // mapped private already.
  LazyAcceptance(PageStatePath& path, Validation& validation, GuestPhysical first,
                 View<u64> unaccepted)
      : conversion_(path, validation, map_), first_(first), unaccepted_(unaccepted) {}

  bool is_unaccepted(GuestPhysical at) const;
  // The block of `at`.
  Checked<void> accept(GuestPhysical at);

 private:
  NoPageMap map_;
  MemoryConversion conversion_;
  GuestPhysical first_;
  View<u64> unaccepted_;
};

}  // namespace softsnp::guest
