// Bad input: exit status 2 and one clear line that names the file or the field.
#include <gtest/gtest.h>

#include <algorithm>

#include "guest/samples/embedded.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

void expect_refused(const std::vector<std::string>& arguments, const std::string& named) {
  const ProgramResult result = run_program(arguments);
  const auto lines = std::count(result.err.begin(), result.err.end(), '\n');
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(lines, 1) << result.err;
  EXPECT_EQ(result.err.rfind("softsnp: ", 0), 0u) << result.err;
  EXPECT_NE(result.err.find(named), std::string::npos) << named << " in: " << result.err;
  EXPECT_EQ(result.out, "");
}

std::string sample_elf(usize bytes = ~usize{0}) {
  const auto image = guest::sample_image();
  return {reinterpret_cast<const char*>(image.data()), std::min(bytes, image.size())};
}

// A setup header whose kernel is cut off: signature, version, sizes.
std::string truncated_bzimage() {
  std::string file(0x400, '\0');
  file[0x1F1] = 1;  // setup sectors
  file[0x1FE] = '\x55';
  file[0x1FF] = '\xAA';
  file.replace(0x200, 2, "\xEB\x66");
  file.replace(0x202, 4, "HdrS");
  file[0x206] = '\x0F';
  file[0x207] = '\x02';
  file[0x1F5] = '\x10';  // syssize: 1000h paragraphs that are not there
  file[0x211] = 1;       // LOADED_HIGH
  file[0x236] = 1;       // 64-bit entry
  return file;
}

TEST(BadInput, MissingKernel) {
  expect_refused({"run", "--kernel", "/nonexistent/vmlinuz"}, "/nonexistent/vmlinuz");
}

TEST(BadInput, EmptyKernel) {
  const TemporaryFile file("");
  expect_refused({"run", "--kernel", file.path()}, file.path());
}

TEST(BadInput, DirectoryAsKernel) {
  expect_refused({"run", "--kernel", "/tmp"}, "/tmp");
}

TEST(BadInput, NoKernelAtAll) {
  const TemporaryFile file(std::string(5000, 'x'));
  expect_refused({"run", "--kernel", file.path()}, file.path());
}

TEST(BadInput, TruncatedBzImage) {
  const TemporaryFile file(truncated_bzimage());
  expect_refused({"run", "--kernel", file.path()}, "syssize");
}

TEST(BadInput, TruncatedElf) {
  const TemporaryFile header(sample_elf(40));
  expect_refused({"run", "--kernel", header.path()}, header.path());
  const TemporaryFile segments(sample_elf(3000));
  expect_refused({"run", "--kernel", segments.path()}, "program header");
}

TEST(BadInput, ElfOfAnotherMachine) {
  std::string elf = sample_elf();
  elf[18] = '\xB7';  // e_machine: AArch64
  const TemporaryFile file(elf);
  expect_refused({"run", "--kernel", file.path()}, "e_machine");
}

TEST(BadInput, MemoryTooSmallForTheImage) {
  const TemporaryFile file(sample_elf());
  expect_refused({"run", "--kernel", file.path(), "--memory", "4M"}, file.path());
}

TEST(BadInput, MemoryOutOfRange) {
  expect_refused({"run", "--memory", "1M"}, "memory");
  expect_refused({"run", "--memory", "999999G"}, "memory");
  expect_refused({"run", "--memory", "many"}, "--memory");
}

TEST(BadInput, InitrdTooBig) {
  const TemporaryFile kernel(sample_elf());
  const TemporaryFile initrd(std::string(usize{30} << 20, 'i'));
  expect_refused({"run", "--kernel", kernel.path(), "--initrd", initrd.path(), "--memory", "32M"},
                 initrd.path());
}

TEST(BadInput, InitrdMissingOrAlone) {
  const TemporaryFile kernel(sample_elf());
  expect_refused({"run", "--kernel", kernel.path(), "--initrd", "/nonexistent/initrd"},
                 "/nonexistent/initrd");
  expect_refused({"run", "--initrd", kernel.path()}, "--initrd");
}

TEST(BadInput, CommandLineTooLong) {
  expect_refused({"run", "--append", std::string(5000, 'a')}, "command line");
}

TEST(BadInput, NumberOfVcpus) {
  for (const char* number : {"0", "65", "-1", "many", "1.5", ""}) {
    expect_refused({"run", "--smp", number}, "--smp");
  }
}

// Firmware sheet 2.1: bit 17 must be one, reserved bits and unsupported features refuse.
TEST(BadInput, RefusedPolicy) {
  expect_refused({"run", "--policy", "0x0"}, "policy");
  expect_refused({"run", "--policy", "0x10000"}, "policy");
  expect_refused({"run", "--policy", "0x3ff00"}, "policy");  // ABI newer than there is
  expect_refused({"run", "--policy", "xyz"}, "--policy");
}

TEST(BadInput, Usage) {
  expect_refused({"run", "--no-such-option"}, "--no-such-option");
  expect_refused({"run", "--mode", "tdx"}, "--mode");
  expect_refused({"run", "--timeout", "0"}, "--timeout");
  expect_refused({"run", "--seed", "-"}, "--seed");
  expect_refused({"walk"}, "subcommand");
  expect_refused({}, "subcommand");
}

TEST(BadInput, FilesThatCannotBeWritten) {
  expect_refused({"run", "--trace", "/nonexistent/trace"}, "/nonexistent/trace");
  expect_refused({"run", "--stats", "/nonexistent/stats"}, "/nonexistent/stats");
}

TEST(BadInput, InjectionModesThatCannotBe) {
  for (const char* mode : {"none", "sev", "sev-es"}) {
    expect_refused({"run", "--mode", mode, "--injection", "restricted"}, "mode snp");
  }
  const TemporaryFile kernel(truncated_bzimage());
  expect_refused({"run", "--injection", "alternate", "--kernel", kernel.path()}, kernel.path());
  expect_refused({"run", "--injection", "both"}, "--injection");
  expect_refused({"run", "--svsm", "--injection", "alternate"}, "emulates the APIC");
  expect_refused({"measure", "--guest-features", "0x19"}, "--guest-features");
  expect_refused({"measure", "--guest-features", "0x11"}, "--guest-features");
  expect_refused({"measure", "--guest-features", "8"}, "--guest-features");
}

}  // namespace
}  // namespace softsnp::end_to_end
