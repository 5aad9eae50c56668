#include "hypervisor/host/page_allocator.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace softsnp::host {
namespace {

constexpr u64 mib = u64{1} << 20;

TEST(PageAllocator, HandsOutLowestAddressesAndSparesReservedRanges) {
  const PageAllocator::Range reserved[] = {{SystemPhysical(0), mib},
                                           {SystemPhysical(6 * mib), 2 * mib}};
  PageAllocator pages(8 * mib, reserved);
  EXPECT_EQ(pages.free_pages(), 5 * mib / page_size);
  EXPECT_EQ(pages.allocate(PageSize::size_4k), SystemPhysical(mib));
  EXPECT_EQ(pages.allocate(PageSize::size_2m), SystemPhysical(2 * mib));
  EXPECT_EQ(pages.allocate(PageSize::size_2m), SystemPhysical(4 * mib));
  EXPECT_EQ(pages.allocate(PageSize::size_2m), std::nullopt);
  EXPECT_TRUE(pages.is_allocated(SystemPhysical(0)));
  EXPECT_TRUE(pages.is_allocated(SystemPhysical(7 * mib)));
}

TEST(PageAllocator, SmallPagesComeFromBrokenFramesFirst) {
  PageAllocator pages(16 * mib, {});
  const auto first = pages.allocate(PageSize::size_4k);
  const auto large = pages.allocate(PageSize::size_2m);
  const auto second = pages.allocate(PageSize::size_4k);
  EXPECT_EQ(*first + page_size, *second);
  EXPECT_EQ(*large, SystemPhysical(2 * mib));
}

TEST(PageAllocator, WithinARange) {
  PageAllocator pages(16 * mib, {});
  const PageAllocator::Range upper{SystemPhysical(8 * mib), 8 * mib};
  EXPECT_EQ(pages.allocate_within(PageSize::size_4k, upper), SystemPhysical(8 * mib));
  EXPECT_EQ(pages.allocate_within(PageSize::size_2m, upper), SystemPhysical(10 * mib));
  EXPECT_EQ(pages.allocate(PageSize::size_4k), SystemPhysical(8 * mib + 0x1000))
      << "a broken frame before a whole one";
  // A range that begins and ends within frames.
  const PageAllocator::Range odd{SystemPhysical(mib + 0x3000), 2 * mib};
  EXPECT_EQ(pages.allocate_within(PageSize::size_2m, odd), std::nullopt);
  EXPECT_EQ(pages.allocate_within(PageSize::size_4k, odd), SystemPhysical(mib + 0x3000));
  EXPECT_EQ(pages.allocate_within(PageSize::size_4k, {SystemPhysical(0), mib}), SystemPhysical(0));
  u64 taken = 0;
  while (pages.allocate_within(PageSize::size_4k, odd)) {
    ++taken;
  }
  EXPECT_EQ(taken, 511u);
  EXPECT_EQ(pages.allocate_within(PageSize::size_4k, {SystemPhysical(20 * mib), mib}),
            std::nullopt);
}

TEST(PageAllocator, ALargePageMayComeBackPieceByPiece) {
  PageAllocator pages(4 * mib, {});
  const auto large = pages.allocate(PageSize::size_2m);
  for (u64 i = 0; i < 512; ++i) {
    pages.release(*large + i * page_size, PageSize::size_4k);
  }
  EXPECT_EQ(pages.allocate(PageSize::size_2m), large);
}

TEST(PageAllocator, DramThatEndsInsideAFrame) {
  PageAllocator pages(2 * mib + 3 * page_size, {});
  EXPECT_EQ(pages.free_pages(), 515u);
  EXPECT_TRUE(pages.allocate(PageSize::size_2m).has_value());
  EXPECT_EQ(pages.allocate(PageSize::size_2m), std::nullopt);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(pages.allocate(PageSize::size_4k).has_value());
  }
  EXPECT_EQ(pages.allocate(PageSize::size_4k), std::nullopt);
}

TEST(PageAllocatorDeathTest, DoubleReleaseStops) {
  PageAllocator pages(4 * mib, {});
  const auto page = pages.allocate(PageSize::size_4k);
  pages.release(*page, PageSize::size_4k);
  EXPECT_DEATH(pages.release(*page, PageSize::size_4k), "not allocated");
}

// Against the plainest model: a set of pages.
TEST(PageAllocator, RandomOperationsKeepTheModel) {
  constexpr u64 dram = 32 * mib;
  PageAllocator pages(dram, {});
  std::mt19937 random(7);
  std::map<u64, PageSize> held;
  std::vector<bool> in_use(dram / page_size);
  u64 used = 0;
  for (int step = 0; step < 40000; ++step) {
    if (random() % 3 != 0 || held.empty()) {
      const PageSize size = random() % 8 == 0 ? PageSize::size_2m : PageSize::size_4k;
      const auto page = pages.allocate(size);
      if (!page) {
        const bool any_frame = [&] {
          for (u64 frame = 0; frame < in_use.size(); frame += 512) {
            u64 n = 0;
            for (u64 i = 0; i < 512; ++i) {
              n += in_use[frame + i] ? 1 : 0;
            }
            if (size == PageSize::size_2m ? n == 0 : n < 512) {
              return true;
            }
          }
          return false;
        }();
        ASSERT_FALSE(any_frame);
        continue;
      }
      ASSERT_TRUE(is_aligned(page->value(), bytes(size)));
      for (u64 i = 0; i < bytes(size) / page_size; ++i) {
        ASSERT_FALSE(in_use[page->page_number() + i]);
        in_use[page->page_number() + i] = true;
        ++used;
      }
      held[page->value()] = size;
    } else {
      auto it = held.begin();
      std::advance(it, static_cast<long>(random() % held.size()));
      pages.release(SystemPhysical(it->first), it->second);
      for (u64 i = 0; i < bytes(it->second) / page_size; ++i) {
        in_use[(it->first >> 12) + i] = false;
        --used;
      }
      held.erase(it);
    }
    ASSERT_EQ(pages.free_pages(), dram / page_size - used);
  }
}

}  // namespace
}  // namespace softsnp::host
