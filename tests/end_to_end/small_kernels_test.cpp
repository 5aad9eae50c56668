// Small kernels of one's own: Multiboot with 32-bit entry and ELF64, with isa-debug-exit.
#include <gtest/gtest.h>

#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

std::string kernel(const char* name) {
  return std::string(SOFTSNP_TEST_KERNELS) + "/" + name + ".elf";
}

ProgramResult run_kernel(const char* name, const char* mode) {
  return run_program({"run", "--kernel", kernel(name), "--mode", mode, "--memory", "32M",
                      "--append", "hello world", "--timeout", "60"});
}

// The kernels leave with value 10h: (10h << 1) | 1.
constexpr int all_well = 33;

TEST(SmallKernels, Multiboot32InPlainMode) {
  const ProgramResult result = run_kernel("multiboot32", "none");
  EXPECT_EQ(result.status, all_well) << result.err;
  EXPECT_NE(result.out.find("hello from 32 bits"), std::string::npos) << result.out;
}

TEST(SmallKernels, Elf64InPlainMode) {
  const ProgramResult result = run_kernel("elf64", "none");
  EXPECT_EQ(result.status, all_well) << result.err;
  EXPECT_NE(result.out.find("hello from 64 bits"), std::string::npos) << result.out;
}

// Without a GHCB all they can do is to ask for their end.
TEST(SmallKernels, Multiboot32UnderSnp) {
  const ProgramResult result = run_kernel("multiboot32", "snp");
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_NE(result.err.find("GHCB registration failed"), std::string::npos) << result.err;
}

TEST(SmallKernels, Elf64UnderSnp) {
  const ProgramResult result = run_kernel("elf64", "snp");
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_NE(result.err.find("GHCB registration failed"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace softsnp::end_to_end
