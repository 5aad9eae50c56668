// What a run costs the host in memory: what the guest touched, and little more.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "machine/memory/dram/resident_pages.hpp"
#include "tests/end_to_end/linux_guest.hpp"

namespace softsnp::end_to_end {
namespace {

constexpr u64 mib = u64{1} << 20;

u64 resident_bytes() {
  unsigned long total = 0;
  unsigned long resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  const bool read = file != nullptr && std::fscanf(file, "%lu %lu", &total, &resident) == 2;
  if (file != nullptr) {
    std::fclose(file);
  }
  EXPECT_TRUE(read);
  return resident * page_size;
}

// Pages of DRAM that hold something, as the host's page tables tell.
u64 touched_bytes(memory::Dram& dram) {
  const u8* base = dram.frame(SystemPhysical(0), dram.form(SystemPhysical(0)));
  memory::ResidentPages pages(base);
  u64 touched = 0;
  for (u64 number = 0; number < dram.size() / page_size; ++number) {
    touched += pages.maybe_touched(number) ? page_size : 0;
  }
  return touched;
}

// What the sample guest of that size adds to this process.
u64 cost_of_sample(image::Mode mode, u64 memory) {
  GuestOptions options;
  options.mode = mode;
  options.memory = memory;
  options.unobserved = true;
  const u64 before = resident_bytes();
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  const u64 after = resident_bytes();
  const u64 cost = after > before ? after - before : 0;
  std::printf("%s, %llu MiB: %llu MiB resident\n", mode == image::Mode::snp ? "snp" : "none",
              static_cast<unsigned long long>(memory / mib),
              static_cast<unsigned long long>(cost / mib));
  return cost;
}

// The sample touches a few pages of its own and two of 2 MiB.
TEST(Memory, SampleGuestIsSmall) {
  EXPECT_LT(cost_of_sample(image::Mode::plain, 512 * mib), 16 * mib);
  EXPECT_LT(cost_of_sample(image::Mode::snp, 512 * mib), 32 * mib);
}

// Memory that nobody touches costs nothing but bookkeeping, in SNP mode the RMP's entries: 16
// bytes a page.
TEST(Memory, SizeIsReservedAndNotCommitted) {
  EXPECT_LT(cost_of_sample(image::Mode::plain, 64 * 1024 * mib), 64 * mib);
  EXPECT_LT(cost_of_sample(image::Mode::snp, 4 * 1024 * mib), 96 * mib);
}

// The bound: what the guest touched, and 64 MiB.
void boot_within_bound(image::Mode mode, image::Acceptance acceptance, u64 memory,
                       u64 most_touched) {
  const LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  GuestOptions options = linux_guest.options(mode);
  options.unobserved = true;
  options.acceptance = acceptance;
  options.memory = memory;
  const u64 before = resident_bytes();
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  const u64 used = resident_bytes() - before;
  const u64 touched = touched_bytes(run.machine().dram());
  std::printf("%llu MiB, of them %llu MiB that the guest touched\n",
              static_cast<unsigned long long>(used / mib),
              static_cast<unsigned long long>(touched / mib));
  EXPECT_TRUE(run.printed("softsnp self-check: PASS"));
  EXPECT_LT(touched, most_touched);
  EXPECT_LE(used, touched + 64 * mib);
}

TEST(Memory, LinuxUnderSnp) {
  boot_within_bound(image::Mode::snp, image::Acceptance::eager, 512 * mib, 512 * mib);
}
TEST(Memory, LinuxInPlainMode) {
  boot_within_bound(image::Mode::plain, image::Acceptance::eager, 512 * mib, 512 * mib);
}

// Linux touches what it accepts, for it evicts each line from the cache; the rest of 8 GiB costs
// nothing.
TEST(Memory, LinuxThatAcceptsLazily) {
  boot_within_bound(image::Mode::snp, image::Acceptance::lazy, 8192 * mib, 2048 * mib);
}

}  // namespace
}  // namespace softsnp::end_to_end
