// The real Debian kernels, where scripts/fetch_kernels.sh has left them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "arch/boot/boot_params.hpp"
#include "base/bytes.hpp"
#include "tests/image/plan_checks.hpp"
#include "tests/image/samples.hpp"

namespace softsnp::image {
namespace {

std::filesystem::path guest_file(const char* name) {
  return std::filesystem::path(SOFTSNP_GUEST_DIR) / name;
}

std::vector<u8> contents(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class RealKernel : public testing::TestWithParam<const char*> {};

TEST_P(RealKernel, BecomesAPlan) {
  const std::vector<u8> kernel = contents(guest_file(GetParam()));
  if (kernel.empty()) {
    FAIL() << guest_file(GetParam()) << " is absent: run scripts/fetch_kernels.sh";
  }
  for (const Mode mode : {Mode::snp, Mode::plain}) {
    Inputs inputs = samples::inputs(kernel, mode);
    inputs.memory_size = u64{512} << 20;
    const auto plan = build(inputs);
    ASSERT_TRUE(plan.ok()) << plan.error().text;
    EXPECT_EQ(checks::broken_invariant(*plan), "");
    EXPECT_EQ(u64{plan->entry_state.rip}, 0x1000200u);
    const auto params = checks::load<boot::BootParams>(*plan, plan->entry_state.rsi);
    EXPECT_EQ(u16{params.header.version}, 0x20F);
    EXPECT_EQ(plan->layout.kernel_end - plan->layout.kernel_start, u64{params.header.init_size});
    // The first byte of the protected-mode part lies at file offset 5000h (sheet 1.1).
    EXPECT_EQ(checks::load<u64>(*plan, 0x1000200), load_le<u64>(&kernel[0x5200]));
  }
}

TEST_P(RealKernel, NeedsItsInitSize) {
  const std::vector<u8> kernel = contents(guest_file(GetParam()));
  if (kernel.empty()) {
    FAIL() << guest_file(GetParam()) << " is absent: run scripts/fetch_kernels.sh";
  }
  Inputs inputs = samples::inputs(kernel);
  inputs.memory_size = u64{32} << 20;
  const auto plan = build(inputs);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().text.find("memory too small"), std::string::npos) << plan.error().text;
}

// 6.12 has CONFIG_UNACCEPTED_MEMORY, 6.1 nothing of the kind.
TEST(LazyKernel, IsToldApart) {
  for (const char* name : {"vmlinuz-6.12", "vmlinuz-6.1"}) {
    const std::vector<u8> kernel = contents(guest_file(name));
    if (kernel.empty()) {
      FAIL() << guest_file(name) << " is absent: run scripts/fetch_kernels.sh";
    }
    Inputs inputs = samples::inputs(kernel);
    inputs.memory_size = u64{512} << 20;
    inputs.acceptance = Acceptance::lazy;
    const auto plan = build(inputs);
    EXPECT_EQ(plan.ok(), std::string(name) == "vmlinuz-6.12");
  }
}

INSTANTIATE_TEST_SUITE_P(Debian, RealKernel, testing::Values("vmlinuz-6.12", "vmlinuz-6.1"));

}  // namespace
}  // namespace softsnp::image
