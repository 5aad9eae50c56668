#include "hypervisor/host/page_mover.hpp"

#include <gtest/gtest.h>

#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/host/numa.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::host {
namespace {

constexpr u64 mib = u64{1} << 20;
constexpr u64 dram = 64 * mib;

struct Heard final : MmuNotifier {
  explicit Heard(UserMemory& memory) : users(memory) {}
  // Before the change: what was there is still there.
  void invalidate(HostVirtual first, u64 bytes) override {
    for (u64 offset = 0; offset < bytes; offset += page_size) {
      still_there += users.find(first + offset) ? 1 : 0;
    }
    ++calls;
  }
  UserMemory& users;
  unsigned calls = 0;
  u64 still_there = 0;
};

struct Fixture : ::testing::Test {
  Fixture() : port(dram), host(port), users(host.users), mover(host.mover) {}
  // A block whose pages hold their number and, from low to high addresses, lie high.
  HostVirtual block(u64 pages, u8 first_value = 1) {
    const HostVirtual at = users.map(pages * page_size).value();
    for (u64 i = 0; i < pages; ++i) {
      put(at + i * page_size, static_cast<u8>(first_value + i));
    }
    return at;
  }
  void put(HostVirtual at, u8 value) {
    const std::vector<u8> bytes(page_size, value);
    EXPECT_TRUE(users.write(at, bytes).ok());
  }
  u8 get(HostVirtual at) {
    std::vector<u8> bytes(page_size);
    EXPECT_TRUE(users.read(at, bytes).ok());
    EXPECT_EQ(std::count(bytes.begin(), bytes.end(), bytes[0]), static_cast<long>(page_size));
    return bytes[0];
  }
  SystemPhysical page(HostVirtual at) { return users.find(at)->page; }

  test::FakePort port;
  HostKernel host;
  UserMemory& users;
  PageMover& mover;
};
using PageMoverTest = Fixture;

TEST_F(PageMoverTest, CompactionMovesDownwards) {
  const HostVirtual low = block(16, 100);
  const HostVirtual high = block(8);
  const SystemPhysical hole = page(low);
  ASSERT_TRUE(users.unmap(low).ok());
  Heard heard(users);
  users.add_notifier(heard);
  const MoveReport report = mover.compact();
  users.remove_notifier(heard);
  EXPECT_EQ(report.moved, 8u);
  EXPECT_EQ(heard.calls, 8u);
  EXPECT_EQ(heard.still_there, 8u);
  for (u64 i = 0; i < 8; ++i) {
    EXPECT_EQ(get(high + i * page_size), 1 + i);
    EXPECT_LT(page(high + i * page_size), hole + 16 * page_size);
  }
  EXPECT_EQ(page(high + 7 * page_size), hole) << "the highest page first, to the lowest hole";
  EXPECT_EQ(mover.compact().moved, 0u) << "there is nothing left to gain";
  EXPECT_EQ(mover.totals().moved, 8u);
}

TEST_F(PageMoverTest, LargePagesMoveWhole) {
  const HostVirtual low = users.map(2 * mib).value();
  put(low, 9);
  const HostVirtual high = users.map(2 * mib).value();
  put(high + 0x5000, 7);
  const SystemPhysical hole = page(low);
  ASSERT_TRUE(users.unmap(low).ok());
  EXPECT_EQ(mover.compact().moved, 512u);
  EXPECT_EQ(page(high), hole);
  EXPECT_TRUE(users.find(high)->whole);
  EXPECT_EQ(get(high + 0x5000), 7);
}

TEST_F(PageMoverTest, PinnedPagesStay) {
  const HostVirtual low = block(16, 100);
  const HostVirtual high = block(8);
  const auto pinned = users.pin(high + 0x2000, 3).value();
  ASSERT_TRUE(users.unmap(low).ok());
  const MoveReport report = mover.compact();
  EXPECT_EQ(report.moved, 5u);
  EXPECT_EQ(report.pinned, 3u);
  for (u64 i = 0; i < 3; ++i) {
    EXPECT_EQ(page(high + (2 + i) * page_size), pinned[i]);
  }
  EXPECT_EQ(mover.swap_out(high, 8 * page_size).pinned, 3u);
  EXPECT_EQ(mover.migrate(high, 8 * page_size, 1).pinned, 3u);
  users.unpin(pinned);
  EXPECT_EQ(mover.migrate(high, 8 * page_size, 1).moved, 3u);
}

TEST_F(PageMoverTest, OnePinnedPageHoldsALargePage) {
  const HostVirtual low = users.map(2 * mib).value();
  put(low, 9);
  const HostVirtual high = users.map(2 * mib).value();
  put(high, 7);
  const SystemPhysical before = page(high);
  const auto pinned = users.pin(high + 0x5000, 1).value();
  ASSERT_TRUE(users.unmap(low).ok());
  const MoveReport report = mover.compact();
  EXPECT_EQ(report.pinned, 1u);
  EXPECT_EQ(report.moved, 511u) << "the others go one by one";
  EXPECT_EQ(page(high + 0x5000), before + 0x5000);
  EXPECT_FALSE(users.find(high)->whole);
  EXPECT_EQ(get(high), 7);
  users.unpin(pinned);
}

TEST_F(PageMoverTest, WhatTheRmpHasStays) {
  const HostVirtual low = block(4, 100);
  const HostVirtual high = block(4);
  ASSERT_TRUE(host.rmp.make_firmware(page(high)).ok());
  users.pages().set_guest_memfd(SystemPhysical(40 * mib), PageSize::size_4k, true);
  ASSERT_TRUE(users.unmap(low).ok());
  const SystemPhysical before = page(high);
  const MoveReport report = mover.compact();
  EXPECT_EQ(report.in_rmp, 1u);
  EXPECT_EQ(report.guest_memfd, 1u);
  EXPECT_EQ(report.moved, 3u);
  EXPECT_EQ(page(high), before);
  users.pages().set_guest_memfd(SystemPhysical(40 * mib), PageSize::size_4k, false);
  ASSERT_TRUE(host.rmp.reclaim(before, PageSize::size_4k).ok());
}

TEST_F(PageMoverTest, BetweenNodes) {
  const HostVirtual at = users.map(4 * mib).value();
  put(at, 3);
  put(at + 2 * mib, 4);
  EXPECT_EQ(node_of(page(at), dram), 0u);
  EXPECT_EQ(mover.migrate(at, 4 * mib, 1).moved, 1024u);
  EXPECT_EQ(node_of(page(at), dram), 1u);
  EXPECT_TRUE(users.find(at)->whole);
  EXPECT_EQ(mover.migrate(at, 4 * mib, 1).moved, 0u);
  EXPECT_EQ(mover.migrate(at + 0x1000, page_size, 0).moved, 1u);
  EXPECT_EQ(node_of(page(at), dram), 1u);
  EXPECT_EQ(node_of(page(at + 0x1000), dram), 0u);
  EXPECT_EQ(get(at), 3);
  EXPECT_EQ(get(at + 2 * mib), 4);
}

TEST_F(PageMoverTest, SwappedPagesComeBackAtTheNextTouch) {
  const u64 free_before = host.memory.free_pages();
  const HostVirtual at = block(5);
  put(at + 0x4000, 0);
  EXPECT_EQ(mover.swap_out(at, 5 * page_size).swapped_out, 5u);
  EXPECT_EQ(host.memory.free_pages(), free_before);
  EXPECT_EQ(users.swapped_pages(), 5u);
  EXPECT_EQ(mover.swap_out(at, 5 * page_size).swapped_out, 0u);
  EXPECT_EQ(get(at + 0x1000), 2);
  EXPECT_EQ(mover.swap_in(at, 5 * page_size).swapped_in, 4u);
  EXPECT_EQ(users.swapped_pages(), 0u);
  for (u64 i = 0; i < 4; ++i) {
    EXPECT_EQ(get(at + i * page_size), 1 + i);
  }
  EXPECT_EQ(get(at + 0x4000), 0);
  EXPECT_EQ(mover.swap_out(at, page_size).swapped_out, 1u);
  ASSERT_TRUE(users.unmap(at).ok());
  EXPECT_EQ(users.swapped_pages(), 0u) << "swapped pages go with their block";
  EXPECT_EQ(host.memory.free_pages(), free_before);
}

TEST_F(PageMoverTest, SamePagesBecomeOneUntilAWrite) {
  const HostVirtual a = block(4, 5);
  const HostVirtual b = block(4, 5);
  const u64 free_before = host.memory.free_pages();
  const UserMemory::Block ranges[] = {{a, 4 * page_size}, {b, 4 * page_size}};
  EXPECT_EQ(mover.merge(ranges).merged, 4u);
  EXPECT_EQ(host.memory.free_pages(), free_before + 4);
  EXPECT_EQ(page(a), page(b));
  EXPECT_FALSE(users.find(a)->writable);
  EXPECT_EQ(mover.merge(ranges).merged, 0u);
  put(b, 77);
  EXPECT_NE(page(a), page(b));
  EXPECT_EQ(get(a), 5);
  EXPECT_EQ(get(b), 77);
  const SystemPhysical alone = page(a);
  put(a, 78);
  EXPECT_EQ(page(a), alone) << "nobody shares it any more";
  EXPECT_EQ(host.memory.free_pages(), free_before + 3);
}

TEST_F(PageMoverTest, MergedPagesMoveAndSwapTogether) {
  const HostVirtual a = block(1, 5);
  const HostVirtual b = block(1, 5);
  const HostVirtual c = block(1, 5);
  const UserMemory::Block ranges[] = {{a, page_size}, {b, page_size}, {c, page_size}};
  EXPECT_EQ(mover.merge(ranges).merged, 2u);
  EXPECT_EQ(mover.migrate(b, page_size, 1).moved, 1u);
  EXPECT_EQ(page(a), page(c));
  EXPECT_EQ(node_of(page(a), dram), 1u);
  EXPECT_EQ(mover.swap_out(c, page_size).swapped_out, 1u);
  EXPECT_FALSE(users.find(a).has_value());
  EXPECT_EQ(users.swapped_pages(), 1u);
  EXPECT_EQ(get(a), 5);
  EXPECT_EQ(get(b), 5);
  ASSERT_TRUE(users.unmap(c).ok());
  EXPECT_EQ(users.swapped_pages(), 0u);
}

TEST_F(PageMoverTest, APinBreaksSharing) {
  const HostVirtual a = block(1, 5);
  const HostVirtual b = block(1, 5);
  const UserMemory::Block ranges[] = {{a, page_size}, {b, page_size}};
  EXPECT_EQ(mover.merge(ranges).merged, 1u);
  const auto pinned = users.pin(b, 1).value();
  EXPECT_NE(page(a), pinned[0]);
  EXPECT_EQ(mover.merge(ranges).pinned, 1u);
  users.unpin(pinned);
}

TEST_F(PageMoverTest, WithoutMemoryNothingChanges) {
  struct Dry final : AllocationGate {
    bool allows(PageSize) override { return false; }
  } dry;
  const HostVirtual a = block(1, 5);
  const HostVirtual b = block(1, 5);
  const UserMemory::Block ranges[] = {{a, page_size}, {b, page_size}};
  EXPECT_EQ(mover.merge(ranges).merged, 1u);
  const HostVirtual c = block(1, 6);
  EXPECT_EQ(mover.swap_out(c, page_size).swapped_out, 1u);
  host.memory.set_gate(&dry);
  EXPECT_EQ(mover.migrate(a, page_size, 1).no_memory, 1u);
  EXPECT_EQ(mover.swap_in(c, page_size).no_memory, 1u);
  const u8 byte = 1;
  EXPECT_FALSE(users.write(b, {&byte, 1}).ok());
  host.memory.set_gate(nullptr);
  EXPECT_EQ(get(a), 5);
  EXPECT_EQ(get(b), 5);
  EXPECT_EQ(get(c), 6);
}

}  // namespace
}  // namespace softsnp::host
