#include "hypervisor/kvm/page_state_request.hpp"

#include <gtest/gtest.h>

#include <random>

namespace softsnp::kvm {
namespace {
using ghcb::PageOperation;
using ghcb::PageStateEntry;
using Kind = PageStateRequest::Step::Kind;

PageStateEntry small(u64 gpa, PageOperation op) {
  return PageStateEntry::make(GuestPhysical(gpa), op, PageSize::size_4k);
}
PageStateEntry large(u64 gpa, PageOperation op) {
  return PageStateEntry::make(GuestPhysical(gpa), op, PageSize::size_2m);
}
PageStateRequest request(std::vector<PageStateEntry> entries, u16 cur = 0) {
  const u16 end = static_cast<u16>(entries.size() - 1);
  return PageStateRequest({cur, end, 0}, std::move(entries), 253);
}

// GHCB sheet 5, second table, "event" rows.
TEST(PageStateRequest, AdjacentEntriesAreOneRun) {
  const auto op = PageOperation::make_private;
  auto r = request({small(0x1000, op), small(0x2000, op), small(0x3000, op)});
  const auto step = r.next();
  ASSERT_EQ(step.kind, Kind::ask_vmm);
  EXPECT_EQ(step.first, GuestPhysical(0x1000));
  EXPECT_EQ(step.pages, 3u);
  EXPECT_EQ(r.header().cur_entry, 0);
  r.complete_run();
  EXPECT_EQ(r.header().cur_entry, 3);
  for (const PageStateEntry& entry : r.entries()) {
    EXPECT_EQ(entry.cur_page(), 1u);
  }
  EXPECT_EQ(r.next().kind, Kind::finished);
  EXPECT_EQ(r.next().error, 0u);
}

TEST(PageStateRequest, WhatEndsARun) {
  const auto shared = PageOperation::make_shared;
  const auto priv = PageOperation::make_private;
  PageStateEntry begun = small(0x2000, shared);
  begun.set_cur_page(1);
  const std::vector<PageStateEntry> seconds = {
      small(0x3000, shared),    // gap
      small(0x2000, priv),      // operation
      large(0x200000, shared),  // size
      begun,                    // progress
      small(0x0000, shared),    // backwards
  };
  for (const PageStateEntry& second : seconds) {
    auto r = request({small(0x1000, shared), second});
    EXPECT_EQ(r.next().pages, 1u) << std::hex << second.value;
  }
}

TEST(PageStateRequest, LargeEntriesCountInSmallPages) {
  const auto op = PageOperation::make_shared;
  auto r = request({large(0x200000, op), large(0x400000, op)});
  const auto step = r.next();
  EXPECT_EQ(step.pages, 1024u);
  EXPECT_EQ(step.size, PageSize::size_2m);
  r.complete_run();
  EXPECT_EQ(r.entries()[1].cur_page(), 512u);
}

TEST(PageStateRequest, AnEntryBegunGoesOnWhereItStopped) {
  PageStateEntry entry = large(0x200000, PageOperation::make_private);
  entry.set_cur_page(100);
  auto r = request({entry});
  const auto step = r.next();
  EXPECT_EQ(step.first, GuestPhysical(0x200000 + 100 * page_size));
  EXPECT_EQ(step.pages, 412u);
}

TEST(PageStateRequest, FinishedEntriesAreSkipped) {
  PageStateEntry done = small(0x1000, PageOperation::make_private);
  done.set_cur_page(1);
  auto r = request({done, small(0x9000, PageOperation::make_private)});
  EXPECT_EQ(r.next().first, GuestPhysical(0x9000));
  EXPECT_EQ(r.header().cur_entry, 1);
}

TEST(PageStateRequest, OtherOperationsAreDoneAtOnce) {
  std::vector<PageStateEntry> entries;
  for (unsigned op = 0; op < 16; ++op) {
    if (op != 1 && op != 2) {
      entries.push_back(small(0x1000 * (op + 1), static_cast<PageOperation>(op)));
    }
  }
  auto r = request(entries);
  EXPECT_EQ(r.next().kind, Kind::finished);
  EXPECT_EQ(r.header().cur_entry, entries.size());
}

TEST(PageStateRequest, Errors) {
  const auto op = PageOperation::make_private;
  PageStateRequest too_long({0, 253, 0}, std::vector<PageStateEntry>(253), 253);
  EXPECT_EQ(too_long.next().error, 0x0000000100000001u);
  PageStateRequest short_room({0, 4, 0}, std::vector<PageStateEntry>(4), 4);
  EXPECT_EQ(short_room.next().error, 0x0000000100000001u);
  EXPECT_EQ(request({large(0x201000, op)}).next().error, 0x0000000100000002u);
  PageStateEntry far = small(0x1000, op);
  far.set_cur_page(2);
  EXPECT_EQ(request({far}).next().error, 0x0000000100000002u);
  auto past_end = request({small(0x1000, op)}, 7);
  EXPECT_EQ(past_end.next().kind, Kind::finished);
  EXPECT_EQ(past_end.next().error, 0u);
}

// Whatever the list: it ends, and every page of a valid entry is asked for exactly once.
TEST(PageStateRequest, RandomListsTerminateAndCoverEachPageOnce) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<PageStateEntry> entries(1 + random() % 253);
    u64 expected = 0;
    bool valid = true;
    for (PageStateEntry& entry : entries) {
      const bool is_large = random() % 4 == 0;
      const auto op = static_cast<PageOperation>(1 + random() % 3);
      entry = is_large ? large((random() % 64) << 21, op) : small((random() % 64) << 12, op);
      if (random() % 64 == 0) {
        entry.value = random();
      }
      valid = valid && entry.cur_page() <= entry.page_count() &&
              is_aligned(entry.gpa().value(), bytes(entry.size()));
      if (entry.operation() == PageOperation::make_private ||
          entry.operation() == PageOperation::make_shared) {
        expected += entry.page_count() - std::min(entry.cur_page(), entry.page_count());
      }
    }
    auto r = request(entries);
    u64 asked = 0;
    for (usize steps = 0;; ++steps) {
      ASSERT_LE(steps, entries.size());
      const auto step = r.next();
      if (step.kind == Kind::finished) {
        EXPECT_EQ(step.error == 0, valid);
        break;
      }
      asked += step.pages;
      r.complete_run();
    }
    if (valid) {
      EXPECT_EQ(asked, expected);
      EXPECT_EQ(r.header().cur_entry, entries.size());
    }
  }
}

}  // namespace
}  // namespace softsnp::kvm
