#include "machine/cpu/mmu/code_store.hpp"

namespace softsnp::cpu {

using memory::Change;

void CodeStore::watch(SystemPhysical page, bool on) {
  dram_.set_watched(page, on || with_watched_stores_.contains(page.page()));
  dram_.log().append(page.page(), on ? Change::code_begins : Change::code_ends);
}

void CodeStore::watch_stores(SystemPhysical page) {
  with_watched_stores_.insert(page.page());
  watch(page, true);
}

void CodeStore::catch_up(Core& core) {
  const memory::InvalidationLog& log = dram_.log();
  const u64 end = log.number();
  if (!log.holds_since(log_seen_)) {
    log_seen_ = end;
    blocks_.drop_all(core);
    return;
  }
  // What is dropped appends to the log: an entry is copied before.
  while (log_seen_ < end && log.holds_since(log_seen_)) {
    const memory::Invalidation change = log.at(log_seen_++);
    if (change.change != Change::form && change.change != Change::contents) {
      continue;
    }
    for (u64 p = 0; p < change.page_count(); ++p) {
      const SystemPhysical page((change.page_number + p) << page_shift);
      if (dram_.watched(page)) {
        blocks_.written(core, page, 0, page_size);
      }
    }
  }
  if (log_seen_ < end) {
    blocks_.drop_all(core);
  }
  log_seen_ = log.number();
}

}  // namespace softsnp::cpu
