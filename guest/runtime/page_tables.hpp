// The C-bit in four-level page tables that the guest sees through its direct map. Hardware sheet
// 2.1.
#pragma once

#include "base/view.hpp"
#include "guest/runtime/page_map.hpp"
#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

struct PageTable {
  alignas(page_size) u64 entries[512];
};

// Changes the direct map's entries: a 2 MiB page whole if the range covers it, else split with a
// table out of the user's stock, which must be private, validated memory.
class PageTables final : public PageMap {
 public:
  PageTables(Processor& processor, DirectMap map, View<PageTable> spare, unsigned c_bit)
      : processor_(processor), map_(map), spare_(spare), c_bit_(bit(c_bit)) {}

  Checked<void> set_encrypted(const PageRange& range, bool encrypted) override;
  usize tables_left() const { return spare_.size() - used_; }

 private:
  u64* table(u64 entry) const;
  // The directory entry that covers `at`; null if nothing or a 1 GiB page is mapped there.
  u64* directory_entry(GuestVirtual at) const;
  bool split(u64& entry);
  template <class F>
  Checked<void> for_each_region(const PageRange& range, F&& act);
  void apply(u64& entry, bool encrypted) const;

  Processor& processor_;
  DirectMap map_;
  View<PageTable> spare_;
  u64 c_bit_;
  usize used_ = 0;
};

}  // namespace softsnp::guest
