// What cores must forget: frames whose RMP entry, form or watched contents changed. Memory appends
// and never calls a core; a core compares number() at block entry and after slow-path calls and
// drops what changed.
#pragma once

#include <array>

#include "arch/address.hpp"

namespace softsnp::memory {

enum class Change : u8 {
  rmp_entry,    // access rights of the frame changed: translations to it are stale
  form,         // host pointers to the frame now see other bytes: translations to it are stale
  contents,     // a watched frame (decoded code) was written by someone who is not a core
  code_begins,  // some core has decoded code from the frame: direct writes to it end
  code_ends,    // blocks decoded from the frame are dropped: links to them are stale
};

struct Invalidation {
  u64 page_number;
  Change change;
  // size_2m: the 512 frames from page_number on (which is then 2M aligned).
  PageSize size = PageSize::size_4k;

  constexpr u64 page_count() const { return bytes(size) / page_size; }
  constexpr bool covers(SystemPhysical page) const {
    return page.page_number() - page_number < page_count();
  }
};

class InvalidationLog {
 public:
  static constexpr u64 capacity = 512;

  // Count of entries ever appended; advances by one with each, by more with append_everything().
  u64 number() const { return number_; }
  void append(SystemPhysical page, Change change, PageSize size = PageSize::size_4k) {
    entries_[number_ % capacity] = {page.page_number(), change, size};
    ++number_;
  }
  // Makes every reader fall behind: for changes that concern all of memory.
  void append_everything() { number_ += capacity + 1; }
  // True if entries [from, number()) are all still held; else the reader must drop everything.
  bool holds_since(u64 from) const { return number_ - from <= capacity; }
  // Entry by its running number; requires holds_since(index) and index < number().
  const Invalidation& at(u64 index) const { return entries_[index % capacity]; }

 private:
  std::array<Invalidation, capacity> entries_{};
  u64 number_ = 0;
};

}  // namespace softsnp::memory
