// Debian's kernel with many CPUs: all come up, work, share their work, go and come back
// (guest_tools/smp.sh), and the whole is the same in every run.
#include <gtest/gtest.h>

#include "machine/cpu/processor.hpp"
#include "tests/end_to_end/linux_guest.hpp"

namespace softsnp::end_to_end {
namespace {

struct Record {
  std::string output, trace, digest, launch_digest;
  u64 time = 0;
};

Record record(GuestOptions options) {
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off)
      << run.outcome().text << "\n"
      << run.output().substr(run.output().size() - std::min<usize>(run.output().size(), 3000));
  return {run.output(), run.trace(), run.dram_digest(), run.launch_digest(), run.machine().now()};
}

// The value of a line "smp: KEY VALUE".
std::string value(const std::string& output, const std::string& key) {
  const std::string before = "smp: " + key + " ";
  const usize at = output.find(before);
  if (at == std::string::npos) {
    return "nothing";
  }
  std::string line = output.substr(at + before.size(), output.find('\n', at) - at - before.size());
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) {
    line.pop_back();
  }
  return line;
}

std::string list_to(unsigned last, const char* separator) {
  std::string text = "0";
  for (unsigned i = 1; i <= last; ++i) {
    text += separator + std::to_string(i);
  }
  return text;
}

void expect_good(const std::string& output, unsigned cpus) {
  const std::string all = "0-" + std::to_string(cpus - 1);
  EXPECT_EQ(value(output, "cpus"), std::to_string(cpus));
  EXPECT_EQ(value(output, "online"), all);
  EXPECT_EQ(value(output, "ids"), list_to(cpus - 1, ","));
  EXPECT_EQ(value(output, "pinned"), list_to(cpus - 1, " "));
  EXPECT_NE(value(output, "parallel"), "nothing");
  EXPECT_EQ(value(output, "parallel"), value(output, "serial"));
  EXPECT_EQ(value(output, "idle-cpus"), "0") << "each CPU has its timer interrupts";
  EXPECT_EQ(value(output, "calls"), "1") << "IPIs were sent";
  EXPECT_EQ(value(output, "after-offline"), "0-" + std::to_string(cpus - 2));
  EXPECT_EQ(value(output, "after-online"), all);
  EXPECT_EQ(value(output, "again"), "500500");
  EXPECT_EQ(value(output, "splats"), "0");
}

TEST(Smp, SixteenCpusUnderSnpWorkAlikeInEveryRun) {
  LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  GuestOptions options = linux_guest.options_for("smp.sh");
  options.vcpus = 16;
  options.trace = true;
  const Record one = record(options);
  expect_good(one.output, 16);
  const Record two = record(options);
  EXPECT_TRUE(one.trace == two.trace) << "the traces differ";
  EXPECT_FALSE(one.trace.empty());
  EXPECT_EQ(one.output, two.output);
  EXPECT_EQ(one.digest, two.digest);
  EXPECT_EQ(one.launch_digest, two.launch_digest);
  EXPECT_EQ(one.time, two.time);
}

// As many as there may be.
TEST(Smp, SixtyFourCpusUnderSnpWork) {
  LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  GuestOptions options = linux_guest.options_for("smp.sh");
  options.vcpus = 64;
  options.unobserved = true;
  expect_good(record(options).output, 64);
}

// The bound of bench/smp, with counts that no host changes.
TEST(Smp, ABootOfSixteenCpusTakesFewInstructionsMore) {
  const LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  const auto instructions = [&](unsigned vcpus) {
    GuestOptions options = linux_guest.options(image::Mode::snp);
    options.append = LinuxGuest::append_for("none");  // powers off at once
    options.vcpus = vcpus;
    options.unobserved = true;
    GuestRun run(options);
    EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
    u64 sum = 0;
    for (unsigned i = 0; i < vcpus; ++i) {
      sum += run.machine().core(i).retired();
    }
    return static_cast<double>(sum);
  };
  EXPECT_LT(instructions(16) / instructions(1), 1.6);
}

class SmpModes : public testing::TestWithParam<image::Mode> {};

TEST_P(SmpModes, FourCpusWork) {
  LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  GuestOptions options = linux_guest.options_for("smp.sh", GetParam());
  options.vcpus = 4;
  options.policy = GetParam() == image::Mode::sev_es ? 5 : 1;
  expect_good(record(options).output, 4);
}

INSTANTIATE_TEST_SUITE_P(SmpModes, SmpModes,
                         testing::Values(image::Mode::plain, image::Mode::sev, image::Mode::sev_es),
                         [](const auto& one) {
                           return one.param == image::Mode::plain ? "Plain"
                                  : one.param == image::Mode::sev ? "Sev"
                                                                  : "SevEs";
                         });

}  // namespace
}  // namespace softsnp::end_to_end
