// The C-bit in the guest's own page tables. Hardware sheet 2.1.
#pragma once

#include "guest/runtime/page_batch.hpp"

namespace softsnp::guest {

class PageMap {
 public:
  // All mappings of the range; old translations are gone afterwards.
  virtual Checked<void> set_encrypted(const PageRange& range, bool encrypted) = 0;

 protected:
  ~PageMap() = default;
};

// For memory whose mapping is right already, as unaccepted memory's.
class NoPageMap final : public PageMap {
 public:
  Checked<void> set_encrypted(const PageRange&, bool) override { return {}; }
};

}  // namespace softsnp::guest
