#include "machine/cpu/exec/block_cache.hpp"

#include <gtest/gtest.h>

namespace softsnp::cpu {
namespace {

struct NoWatch final : BlockCache::FrameWatch {
  void watch(SystemPhysical, bool) override {}
};

class BlockCacheTest : public ::testing::Test {
 protected:
  void add(u64 page) {
    Block* block = cache_.allocate(100);
    block->rip = page << page_shift;
    block->start = SystemPhysical(page << page_shift);
    block->byte_count = 64;
    cache_.insert(block);
  }
  NoWatch watch_;
  BlockCache cache_{watch_};
  std::unique_ptr<Core> core_ = std::make_unique<Core>();
};

// Guests that come and go write over each other's code for ever.
TEST_F(BlockCacheTest, DroppedBlocksMakeItFull) {
  u64 rounds = 0;
  for (; rounds < 10'000 && !cache_.full(); ++rounds) {
    add(1);
    EXPECT_TRUE(cache_.written(*core_, SystemPhysical(page_size), 0, 8));
  }
  EXPECT_GT(rounds, 10u);
  EXPECT_LT(rounds, 1'000u) << "some MiB of blocks that nobody can find any more";
  cache_.clear(*core_);
  EXPECT_FALSE(cache_.full());
}

TEST_F(BlockCacheTest, LiveBlocksDoNot) {
  for (u64 page = 1; page <= 1'000; ++page) {
    add(page);
  }
  EXPECT_FALSE(cache_.full());
  EXPECT_TRUE(cache_.written(*core_, SystemPhysical(page_size), 0, 8));
  EXPECT_FALSE(cache_.full()) << "one dropped block is not most of it";
  EXPECT_NE(cache_.find(2 << page_shift, 0, SystemPhysical(2 << page_shift)), nullptr);
}

}  // namespace
}  // namespace softsnp::cpu
