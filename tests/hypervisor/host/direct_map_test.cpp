// The direct map under its three policies, against the RMP's rule for host stores.
#include "hypervisor/host/direct_map.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "hypervisor/host/host_kernel.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::host {
namespace {

constexpr u64 mib = u64{1} << 20;
constexpr u64 gib = u64{1} << 30;
constexpr auto in_rmp = Rmp::Immutable::no;
constexpr Asid guest = static_cast<Asid>(1);

struct Host {
  explicit Host(DirectMapPolicy policy, u64 dram = 64 * mib, bool coalesce = true)
      : port(dram), kernel(port, {policy, coalesce}), map(kernel.memory.direct_map()) {}
  bool assign(SystemPhysical page, PageSize size = PageSize::size_4k) {
    return kernel.rmp.assign(page, size, GuestPhysical(page.value()), guest, in_rmp).ok();
  }
  bool give_back(SystemPhysical page, PageSize size = PageSize::size_4k) {
    return kernel.rmp.make_hypervisor(page, size).ok();
  }
  Result<void, machine::HostFault> poke(SystemPhysical at) {
    const std::array<u8, 1> one{0xAB};
    return map.store(at, one);
  }
  bool readable(SystemPhysical at) {
    std::array<u8, 1> one{};
    return map.load(at, one).ok();
  }

  test::FakePort port;
  HostKernel kernel;
  DirectMap& map;
};

constexpr SystemPhysical region(32 * mib);  // free, 2 MiB aligned
constexpr SystemPhysical page = region + 7 * page_size;

TEST(DirectMap, IsMadeOfTheLargestPagesThatFit) {
  const Host even(DirectMapPolicy::split_on_assign, 3 * gib);
  EXPECT_EQ(even.map.census(), (DirectMapCensus{3, 0, 0, 0}));
  const Host odd(DirectMapPolicy::split_on_assign, 2 * gib + 6 * mib + 3 * page_size);
  EXPECT_EQ(odd.map.census(), (DirectMapCensus{2, 3, 3, 0}));
  EXPECT_EQ(odd.map.mapping(SystemPhysical(gib)).size, MappingSize::size_1g);
  EXPECT_EQ(odd.map.mapping(SystemPhysical(2 * gib + 4 * mib)).size, MappingSize::size_2m);
  EXPECT_EQ(odd.map.mapping(SystemPhysical(2 * gib + 6 * mib)).size, MappingSize::size_4k);
}

TEST(DirectMap, AFreedLargePageIsClearedAtOnceWhereItsMappingIsLarge) {
  Host host(DirectMapPolicy::split_on_small_assign);
  const auto large = host.kernel.memory.allocate(PageSize::size_2m);
  ASSERT_TRUE(large.has_value());
  ASSERT_TRUE(host.poke(*large + 5 * page_size).ok());
  const u64 stores = host.map.counters().stores;
  const u64 free_pages = host.kernel.memory.free_pages();
  host.kernel.memory.release(*large, PageSize::size_2m);
  EXPECT_EQ(host.map.counters().stores, stores + 1);
  EXPECT_EQ(host.kernel.memory.free_pages(), free_pages + 512);
  std::array<u8, 1> byte{0xFF};
  ASSERT_TRUE(host.map.load(*large + 5 * page_size, byte).ok());
  EXPECT_EQ(byte[0], 0);
}

TEST(DirectMap, AFreedLargePageOfSmallMappingsIsClearedPageByPage) {
  Host host(DirectMapPolicy::split_on_small_assign, 64 * mib, false);
  const auto large = host.kernel.memory.allocate(PageSize::size_2m);
  ASSERT_TRUE(large.has_value());
  ASSERT_TRUE(host.assign(*large + page_size) && host.give_back(*large + page_size));
  ASSERT_EQ(host.map.mapping(*large).size, MappingSize::size_4k);
  const u64 stores = host.map.counters().stores;
  host.kernel.memory.release(*large, PageSize::size_2m);
  EXPECT_EQ(host.map.counters().stores, stores + 512);
  EXPECT_EQ(host.kernel.memory.leaked_pages(), 0u);
}

TEST(DirectMap, OutsideDramIsABusError) {
  Host host(DirectMapPolicy::split_on_assign);
  const auto stored = host.poke(SystemPhysical(64 * mib));
  ASSERT_FALSE(stored.ok());
  EXPECT_EQ(stored.error().error_code, 0u);
  EXPECT_FALSE(host.readable(SystemPhysical(64 * mib)));
}

TEST(DirectMap, SplitOnAssignMakesRoomBefore) {
  Host host(DirectMapPolicy::split_on_assign);
  ASSERT_TRUE(host.assign(page));
  EXPECT_EQ(host.map.mapping(page).size, MappingSize::size_4k);
  EXPECT_TRUE(host.poke(page + page_size).ok());
  EXPECT_EQ(host.map.counters().faults, 0u);
  const auto stray = host.poke(page);
  ASSERT_FALSE(stray.ok());
  EXPECT_EQ(stray.error().error_code, 0x80000003u);
  EXPECT_EQ(host.map.counters().faults, 1u);
  EXPECT_EQ(host.map.counters().faults_resolved, 0u);
  EXPECT_TRUE(host.readable(page));  // ciphertext may be read
}

TEST(DirectMap, SplitOnSmallAssignLeavesWholeRegionsAlone) {
  Host host(DirectMapPolicy::split_on_small_assign);
  ASSERT_TRUE(host.assign(region, PageSize::size_2m));
  EXPECT_EQ(host.map.mapping(region).size, MappingSize::size_2m);
  EXPECT_FALSE(host.poke(page).ok());
  EXPECT_TRUE(host.poke(region + large_page_size).ok());
  ASSERT_TRUE(host.assign(region + large_page_size));
  EXPECT_EQ(host.map.mapping(region + large_page_size).size, MappingSize::size_4k);
  EXPECT_EQ(host.map.counters().faults_resolved, 0u);
}

TEST(DirectMap, SplitOnSmallAssignSplitsWhatComesBackInSmallPages) {
  Host host(DirectMapPolicy::split_on_small_assign);
  ASSERT_TRUE(host.assign(region, PageSize::size_2m));
  ASSERT_TRUE(host.kernel.rmp.psmash(region).ok());
  ASSERT_TRUE(host.give_back(page));
  EXPECT_TRUE(host.poke(page).ok());
  EXPECT_EQ(host.map.counters().faults, 0u);
}

TEST(DirectMap, SplitOnFaultWaitsForTheFault) {
  Host host(DirectMapPolicy::split_on_fault);
  ASSERT_TRUE(host.assign(page));
  EXPECT_EQ(host.map.mapping(page).size, MappingSize::size_2m);
  EXPECT_TRUE(host.poke(page + page_size).ok());
  EXPECT_EQ(host.map.mapping(page).size, MappingSize::size_4k);
  EXPECT_EQ(host.map.counters().faults, 1u);
  EXPECT_EQ(host.map.counters().faults_resolved, 1u);
  EXPECT_FALSE(host.poke(page).ok());
}

TEST(DirectMap, AStoreToAGuestsPageIsNotResolvedThroughALargeMapping) {
  Host host(DirectMapPolicy::split_on_fault);
  ASSERT_TRUE(host.assign(page));
  EXPECT_FALSE(host.poke(page).ok());
  EXPECT_EQ(host.map.mapping(page).size, MappingSize::size_2m);
  EXPECT_EQ(host.map.counters().faults_resolved, 0u);
}

TEST(DirectMap, UnmapOnAssignLeavesNoPageToFind) {
  Host host(DirectMapPolicy::unmap_on_assign);
  ASSERT_TRUE(host.assign(page));
  EXPECT_FALSE(host.readable(page));
  const auto stray = host.poke(page);
  ASSERT_FALSE(stray.ok());
  EXPECT_EQ(stray.error().error_code, 2u);  // a write, no page
  EXPECT_TRUE(host.poke(page + page_size).ok());
  EXPECT_EQ(host.map.census().unmapped_pages, 1u);
  ASSERT_TRUE(host.give_back(page));
  EXPECT_TRUE(host.poke(page).ok());
}

class EachPolicy : public testing::TestWithParam<DirectMapPolicy> {};

TEST_P(EachPolicy, LargeMappingsComeBack) {
  Host host(GetParam(), 2 * gib);
  const DirectMapCensus before = host.map.census();
  const SystemPhysical large = region + large_page_size;
  ASSERT_TRUE(host.assign(page));
  ASSERT_TRUE(host.assign(large, PageSize::size_2m));
  EXPECT_TRUE(host.poke(region).ok());
  EXPECT_EQ(host.map.assigned_pages(), 513u);
  ASSERT_TRUE(host.give_back(page));
  ASSERT_TRUE(host.give_back(large, PageSize::size_2m));
  EXPECT_EQ(host.map.census(), before);
  EXPECT_EQ(host.map.assigned_pages(), 0u);
}

TEST_P(EachPolicy, WithoutCoalescingSmallMappingsStay) {
  Host host(GetParam(), 64 * mib, false);
  ASSERT_TRUE(host.assign(page));
  EXPECT_TRUE(host.poke(region).ok());
  ASSERT_TRUE(host.give_back(page));
  EXPECT_EQ(host.map.mapping(page).size, MappingSize::size_4k);
  EXPECT_EQ(host.map.census().unmapped_pages, 0u);
}

TEST_P(EachPolicy, ARefusedAssignmentChangesNothing) {
  Host host(GetParam());
  const DirectMapCensus before = host.map.census();
  const SystemPhysical misaligned = region + page_size;
  EXPECT_FALSE(host.assign(misaligned, PageSize::size_2m));
  EXPECT_EQ(host.map.census(), before);
  EXPECT_EQ(host.map.assigned_pages(), 0u);
  EXPECT_TRUE(host.poke(misaligned).ok());
}

TEST_P(EachPolicy, ALargePageComesBackInSmallOnes) {
  Host host(GetParam());
  const DirectMapCensus before = host.map.census();
  ASSERT_TRUE(host.assign(region, PageSize::size_2m));
  ASSERT_TRUE(host.kernel.rmp.psmash(region).ok());
  for (u64 i = 0; i < 512; ++i) {
    ASSERT_TRUE(host.give_back(region + i * page_size));
    EXPECT_TRUE(host.poke(region + i * page_size).ok());
    EXPECT_EQ(host.poke(region + 511 * page_size).ok(), i == 511);
  }
  EXPECT_EQ(host.map.census(), before);
}

// Random pages come and go, stores and loads strike anywhere: a store succeeds exactly where the
// page is the host's, and the leaves always add up to all of DRAM.
TEST_P(EachPolicy, StoresFollowTheRmp) {
  constexpr u64 dram = gib + 64 * mib;
  Host host(GetParam(), dram);
  const DirectMapCensus before = host.map.census();
  std::map<u64, bool> model;  // by page of two regions
  std::mt19937_64 random(7);
  for (int round = 0; round < 20'000; ++round) {
    const u64 index = random() % 1024;
    const SystemPhysical at = region + index * page_size;
    bool& assigned = model[index];
    switch (random() % 4) {
      case 0:
        ASSERT_TRUE(assigned ? host.give_back(at) : host.assign(at));
        assigned = !assigned;
        break;
      case 1:
        ASSERT_EQ(host.readable(at), !assigned || GetParam() != DirectMapPolicy::unmap_on_assign);
        break;
      default:
        ASSERT_EQ(host.poke(at).ok(), !assigned) << index;
    }
    const DirectMapCensus& now = host.map.census();
    ASSERT_EQ(now.huge * (gib / page_size) + now.large * 512 + now.small + now.unmapped_pages,
              dram / page_size);
  }
  for (const auto& [index, assigned] : model) {
    if (assigned) {
      ASSERT_TRUE(host.give_back(region + index * page_size));
    }
  }
  EXPECT_EQ(host.map.census(), before);
}

INSTANTIATE_TEST_SUITE_P(Policies, EachPolicy,
                         testing::Values(DirectMapPolicy::split_on_assign,
                                         DirectMapPolicy::split_on_small_assign,
                                         DirectMapPolicy::split_on_fault,
                                         DirectMapPolicy::unmap_on_assign));

}  // namespace
}  // namespace softsnp::host
