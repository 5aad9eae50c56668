// Same seed and no input: the same run, bit for bit, whoever looks on.
#include <gtest/gtest.h>

#include "tests/end_to_end/linux_guest.hpp"

namespace softsnp::end_to_end {
namespace {

struct Record {
  std::string output, trace, digest, launch_digest;
  u64 time = 0;
};

Record record(GuestOptions options, u64 seed, bool observed) {
  options.seed = seed;
  options.trace = observed;
  options.unobserved = !observed;
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  return {run.output(), run.trace(), run.dram_digest(), run.launch_digest(), run.machine().now()};
}

Record record(image::Mode mode, u64 seed, bool observed) {
  GuestOptions options;
  options.mode = mode;
  return record(std::move(options), seed, observed);
}

class Determinism : public testing::TestWithParam<image::Mode> {};

TEST_P(Determinism, SameSeedSameTraceAndMemory) {
  const Record one = record(GetParam(), 7, true);
  const Record two = record(GetParam(), 7, true);
  EXPECT_FALSE(one.trace.empty());
  EXPECT_TRUE(one.trace == two.trace) << "the traces differ";
  EXPECT_EQ(one.digest, two.digest);
  EXPECT_EQ(one.output, two.output);
  EXPECT_EQ(one.launch_digest, two.launch_digest);
  EXPECT_EQ(one.time, two.time);
}

TEST_P(Determinism, ObserversChangeNothing) {
  const Record watched = record(GetParam(), 7, true);
  const Record alone = record(GetParam(), 7, false);
  EXPECT_TRUE(alone.trace.empty());
  EXPECT_EQ(watched.digest, alone.digest);
  EXPECT_EQ(watched.output, alone.output);
  EXPECT_EQ(watched.time, alone.time);
}

INSTANTIATE_TEST_SUITE_P(Modes, Determinism, testing::Values(image::Mode::snp, image::Mode::plain),
                         [](const auto& one) {
                           return one.param == image::Mode::snp ? "Snp" : "Plain";
                         });

// Keys come from the seed, so DRAM holds another ciphertext; what was measured is the same.
TEST(DeterminismOfSeeds, AnotherSeedIsAnotherMachine) {
  const Record one = record(image::Mode::snp, 7, true);
  const Record other = record(image::Mode::snp, 8, true);
  EXPECT_NE(one.digest, other.digest);
  EXPECT_EQ(one.launch_digest, other.launch_digest);
}

TEST(LinuxDeterminism, TwoBootsAreOne) {
  const LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  const Record one = record(linux_guest.options(image::Mode::snp), 7, true);
  const Record two = record(linux_guest.options(image::Mode::snp), 7, true);
  EXPECT_TRUE(one.trace == two.trace) << "the traces differ";
  EXPECT_FALSE(one.trace.empty());
  EXPECT_EQ(one.digest, two.digest);
  EXPECT_EQ(one.output, two.output);
  EXPECT_EQ(one.time, two.time);
}

}  // namespace
}  // namespace softsnp::end_to_end
