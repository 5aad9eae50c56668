#include "hypervisor/host/user_memory.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "hypervisor/host/host_kernel.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::host {
namespace {

constexpr u64 mib = u64{1} << 20;
using Access = UserMemory::Access;

// Refuses every allocation from the n-th on.
struct Dry final : AllocationGate {
  explicit Dry(int left) : left_(left) {}
  bool allows(PageSize) override { return left_-- > 0; }
  int left_;
};

struct Heard final : MmuNotifier {
  void invalidate(HostVirtual first, u64 bytes) override { ranges.push_back({first, bytes}); }
  std::vector<std::pair<HostVirtual, u64>> ranges;
};

struct Fixture : ::testing::Test {
  Fixture()
      : port(64 * mib), host(port), users(host.users), free_before(host.memory.free_pages()) {}
  u64 used() const { return free_before - host.memory.free_pages(); }
  UserMemory::Page fault(HostVirtual at, Access access = Access::write,
                         PageSize largest = PageSize::size_2m) {
    return users.fault(at, access, largest).value();
  }

  test::FakePort port;
  HostKernel host;
  UserMemory& users;
  u64 free_before;
};
using UserMemoryTest = Fixture;

TEST_F(UserMemoryTest, BlocksAreWholePagesAtTheirOwnAddresses) {
  EXPECT_EQ(users.map(0).error().number, EINVAL);
  EXPECT_EQ(users.map(0x1800).error().number, EINVAL);
  EXPECT_EQ(users.map(u64{1} << 48).error().number, ENOMEM);
  const HostVirtual a = users.map(4 * mib + 0x1000).value();
  const HostVirtual b = users.map(0x1000).value();
  EXPECT_TRUE(a.is_large_page_aligned());
  EXPECT_TRUE(b.is_large_page_aligned());
  EXPECT_GT(b, a + 4 * mib + 0x1000);
  EXPECT_EQ(used(), 0u) << "nothing until it is touched";
  EXPECT_EQ(users.unmap(a + 0x1000).error().number, EINVAL);
  ASSERT_TRUE(users.unmap(a).ok());
  EXPECT_EQ(users.map(2 * mib).value(), a) << "the lowest addresses that fit";
  EXPECT_EQ(users.fault(a + 2 * mib, Access::read, PageSize::size_4k).error().number, EFAULT);
}

TEST_F(UserMemoryTest, PagesComeOnDemandLargeWhereTheyFit) {
  const HostVirtual at = users.map(4 * mib + 0x3000).value();
  EXPECT_FALSE(users.find(at).has_value());
  const auto large = fault(at + 0x5123);
  EXPECT_TRUE(large.whole);
  EXPECT_EQ(large.page.value() % (2 * mib), 0x5000u);
  const auto tail = fault(at + 4 * mib + 0x1000);
  EXPECT_FALSE(tail.whole) << "the block's short tail";
  const auto small = fault(at + 2 * mib, Access::write, PageSize::size_4k);
  EXPECT_FALSE(small.whole);
  EXPECT_FALSE(fault(at + 2 * mib + 0x1000).whole) << "the frame is begun in small pages";
  EXPECT_EQ(used(), 512u + 1 + 2);
  EXPECT_EQ(users.pages().user_pages(), used());
  ASSERT_TRUE(users.unmap(at).ok());
  EXPECT_EQ(used(), 0u);
  EXPECT_EQ(users.pages().user_pages(), 0u);
}

TEST_F(UserMemoryTest, DiscardedPagesAreZerosAgain) {
  const HostVirtual at = users.map(4 * mib).value();
  const u8 byte = 0x55;
  ASSERT_TRUE(users.write(at + 0x1FFF, {&byte, 1}).ok());
  ASSERT_TRUE(users.write(at + 0x2000, {&byte, 1}).ok());
  Heard heard;
  users.add_notifier(heard);
  users.discard(at + 0x2000, 0x1000);
  ASSERT_EQ(heard.ranges.size(), 1u);
  EXPECT_EQ(heard.ranges[0], std::pair(at + 0x2000, u64{0x1000}));
  users.discard(at + 0x2000, 0x1000);
  users.discard(at + 2 * mib, 2 * mib);
  users.discard(HostVirtual(0), 4 * mib);
  EXPECT_EQ(heard.ranges.size(), 1u) << "nothing was there";
  users.remove_notifier(heard);
  u8 read[2] = {1, 1};
  ASSERT_TRUE(users.read(at + 0x1FFF, read).ok());
  EXPECT_EQ(read[0], 0x55);
  EXPECT_EQ(read[1], 0);
}

TEST_F(UserMemoryTest, AccessesCrossPagesAndEndAtTheBlock) {
  const HostVirtual at = users.map(4 * mib).value();
  std::vector<u8> bytes(3 * page_size);
  for (usize i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<u8>(i * 7);
  }
  ASSERT_TRUE(users.write(at + 2 * mib - 0x1801, bytes).ok());
  std::vector<u8> back(bytes.size());
  ASSERT_TRUE(users.read(at + 2 * mib - 0x1801, back).ok());
  EXPECT_EQ(back, bytes);
  EXPECT_EQ(users.write(at + 4 * mib - 0x1000, bytes).error().number, EFAULT);
}

TEST_F(UserMemoryTest, PinsAreCounted) {
  const HostVirtual at = users.map(4 * mib).value();
  const auto first = users.pin(at + 0x5800, 3).value();
  EXPECT_EQ(first.size(), 3u);
  EXPECT_EQ(first[0], users.find(at + 0x5000)->page);
  const auto second = users.pin(at + 0x6000, 1).value();
  EXPECT_EQ(users.pages().pins(second[0]), 2u);
  EXPECT_EQ(users.pages().pinned_pages(), 3u);
  users.unpin(first);
  EXPECT_EQ(users.pages().pins(second[0]), 1u);
  EXPECT_EQ(users.pages().pinned_pages(), 1u);
  users.unpin(second);
  EXPECT_EQ(users.pages().pinned_pages(), 0u);
}

TEST_F(UserMemoryTest, PinnedPagesOutliveTheirBlock) {
  const HostVirtual at = users.map(2 * mib).value();
  const auto pinned = users.pin(at + 0x3000, 2).value();
  ASSERT_TRUE(users.unmap(at).ok());
  EXPECT_EQ(used(), 2u) << "the rest of the 2 MiB is free";
  const HostVirtual again = users.map(2 * mib).value();
  EXPECT_EQ(again, at);
  EXPECT_NE(fault(again + 0x3000).page, pinned[0]) << "the address has another page now";
  ASSERT_TRUE(users.unmap(again).ok());
  users.unpin(pinned);
  EXPECT_EQ(used(), 0u);
}

TEST_F(UserMemoryTest, APinThatFailsTakesNothing) {
  const HostVirtual at = users.map(4 * mib).value();
  EXPECT_EQ(users.pin(at + 2 * mib, 513).error().number, EFAULT);
  EXPECT_EQ(users.pages().pinned_pages(), 0u);
  ASSERT_TRUE(users.unmap(at).ok());
  const HostVirtual small = users.map(0x10000).value();
  Dry dry(7);
  host.memory.set_gate(&dry);
  EXPECT_EQ(users.pin(small, 16).error().number, ENOMEM);
  host.memory.set_gate(nullptr);
  EXPECT_EQ(users.pages().pinned_pages(), 0u);
  EXPECT_EQ(used(), 7u) << "pages stay with their block";
  ASSERT_TRUE(users.unmap(small).ok());
  EXPECT_EQ(used(), 0u);
}

TEST_F(UserMemoryTest, WithoutALargePageSmallOnesDo) {
  const HostVirtual at = users.map(2 * mib).value();
  struct OnlySmall final : AllocationGate {
    bool allows(PageSize size) override { return size == PageSize::size_4k; }
  } only_small;
  host.memory.set_gate(&only_small);
  EXPECT_FALSE(fault(at).whole);
  host.memory.set_gate(nullptr);
  EXPECT_EQ(used(), 1u);
}

}  // namespace
}  // namespace softsnp::host
