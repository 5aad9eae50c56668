#include "guest/runtime/page_state.hpp"

#include "base/bytes.hpp"

namespace softsnp::guest {
namespace {

using ghcb::PageOperation;
using ghcb::PageStateEntry;
using ghcb::PageStateHeader;

// A hypervisor may stop early, but not for ever without doing anything.
constexpr unsigned idle_exits_allowed = 1000;

// One request over the entries not done yet. The entries are written anew before each exit: what
// lies in the shared buffer may have been altered, all but the progress inside one entry.
class Request {
 public:
  Request(GhcbClient& client, PageBatch::Entries entries, PageOperation operation)
      : client_(client), entries_(entries), operation_(operation) {}

  Step run() {
    while (current_ < entries_.size()) {
      send();
      const auto done = client_.call(number(ghcb::Event::page_state_change), 0, 0);
      if (!done) {
        return interrupted(done.error().kind == Trouble::Kind::fatal
                               ? done.error().cause
                               : Cause::page_state_change_failed);
      }
      if (!see_progress()) {
        return interrupted(Cause::page_state_lie);
      }
      if (*done != 0) {
        return interrupted(Cause::page_state_change_failed);
      }
      if (idle_exits_ > idle_exits_allowed) {
        return interrupted(Cause::page_state_lie);
      }
    }
    return {};
  }

 private:
  static constexpr usize first_entry = sizeof(PageStateHeader);

  u8* buffer() { return client_.page().raw + ghcb::shared_buffer_offset; }

  void send() {
    client_.begin();
    store_le(buffer(),
             PageStateHeader{static_cast<u16>(current_), static_cast<u16>(entries_.size() - 1), 0});
    for (usize i = 0; i < entries_.size(); ++i) {
      PageStateEntry entry = with_operation(entries_[i], operation_);
      entry.set_cur_page(i == current_ ? pages_ : 0);
      store_le(buffer() + first_entry + i * sizeof entry, entry);
    }
    client_.use_buffer();
  }

  // False if the counters cannot be: backwards, beyond the end, or another end (GHCB sheet 3.5).
  bool see_progress() {
    const u64 raw = read_once<u64>(buffer());
    const auto header = load_le<PageStateHeader>(&raw);
    if (header.reserved != 0 || header.end_entry != entries_.size() - 1 ||
        header.cur_entry < current_ || header.cur_entry > entries_.size()) {
      return false;
    }
    const bool moved = header.cur_entry != current_;
    current_ = header.cur_entry;
    usize pages = 0;
    if (current_ < entries_.size()) {
      const PageStateEntry entry{
          read_once<u64>(buffer() + first_entry + current_ * sizeof(PageStateEntry))};
      pages = entry.cur_page();
      if (pages > entries_[current_].page_count() || (!moved && pages < pages_)) {
        return false;
      }
    }
    idle_exits_ = moved || pages != pages_ ? 0 : idle_exits_ + 1;
    pages_ = pages;
    return true;
  }

  Step interrupted(Cause cause) const { return Failure{Interrupted{cause, current_, pages_}}; }

  GhcbClient& client_;
  PageBatch::Entries entries_;
  PageOperation operation_;
  usize current_ = 0;
  usize pages_ = 0;  // done of the current entry
  unsigned idle_exits_ = 0;
};

}  // namespace

Step EarlyPageState::change(PageBatch::Entries entries, PageOperation operation) {
  for (usize i = 0; i < entries.size(); ++i) {
    for (usize page = 0; page < entries[i].page_count(); ++page) {
      const auto done = msr_.change_page_state(entries[i].gpa() + page * page_size, operation);
      if (!done) {
        return Failure{Interrupted{done.error(), i, page}};
      }
    }
  }
  return {};
}

Step LatePageState::change(PageBatch::Entries entries, PageOperation operation) {
  const GhcbUse use(client_);
  if (!use.ok()) {
    return Failure{Interrupted{Cause::vc_nested_too_deep}};
  }
  return Request(client_, entries, operation).run();
}

}  // namespace softsnp::guest
