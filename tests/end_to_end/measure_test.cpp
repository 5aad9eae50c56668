// softsnp measure says beforehand what softsnp run reports.
#include <gtest/gtest.h>

#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

using Arguments = std::vector<std::string>;

Arguments with(const char* command, Arguments arguments) {
  arguments.insert(arguments.begin(), command);
  return arguments;
}

std::string measured(const Arguments& arguments) {
  const ProgramResult result = run_program(with("measure", arguments));
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(result.err.empty()) << result.err;
  EXPECT_EQ(result.out.size(), 97u) << "96 digits alone on one line";
  return result.out.substr(0, result.out.find('\n'));
}

std::string launched(Arguments arguments) {
  arguments.insert(arguments.end(), {"--timeout", "10"});
  const std::string text = run_program(with("run", arguments)).err;
  const std::string before = "digest ";
  const usize at = text.find(before);
  return at == std::string::npos ? "no digest in: " + text : text.substr(at + before.size(), 96);
}

TEST(Measure, SaysWhatRunReports) {
  const std::string elf = std::string(SOFTSNP_TEST_KERNELS) + "/elf64.elf";
  const std::string multiboot = std::string(SOFTSNP_TEST_KERNELS) + "/multiboot32.elf";
  const TemporaryFile initrd("some files");
  for (const Arguments& arguments :
       {Arguments{}, Arguments{"--memory", "64M", "--append", "a b"}, Arguments{"--kernel", elf},
        Arguments{"--kernel", elf, "--initrd", initrd.path(), "--product", "turin"},
        Arguments{"--kernel", multiboot, "--append", "x"}}) {
    EXPECT_EQ(measured(arguments), launched(arguments));
  }
}

TEST(Measure, VcpusCount) {
  const std::string one = measured({});
  const std::string many = measured({"--vcpus", "16"});
  EXPECT_NE(many, one);
  EXPECT_EQ(many, launched({"--smp", "16"}));
}

TEST(Measure, OneByteOfAFileCounts) {
  const std::string elf = std::string(SOFTSNP_TEST_KERNELS) + "/elf64.elf";
  const TemporaryFile one("some files");
  const TemporaryFile other("some filet");
  EXPECT_NE(measured({"--kernel", elf, "--initrd", one.path()}),
            measured({"--kernel", elf, "--initrd", other.path()}));
}

TEST(Measure, BadInputIsOneLine) {
  const TemporaryFile junk("junk");
  for (const Arguments& arguments :
       {Arguments{"--kernel", junk.path()}, Arguments{"--kernel", "/no/such/file"},
        Arguments{"--ovmf", junk.path(), "--vcpu-type", "EPYC"}, Arguments{"--mode", "sev"},
        Arguments{"--id-key", junk.path(), "--id-block", "/dev/null", "--id-auth", "/dev/null"}}) {
    const ProgramResult result = run_program(with("measure", arguments));
    EXPECT_EQ(result.status, 2);
    EXPECT_TRUE(result.out.empty()) << result.out;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  }
}

}  // namespace
}  // namespace softsnp::end_to_end
