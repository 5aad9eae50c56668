// Debian's kernel accepts the memory it uses, and that alone: softsnp run --accept lazy.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/end_to_end/linux_guest.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

using Arguments = std::vector<std::string>;

struct LazyRun {
  ProgramResult program;
  nlohmann::json validation;
};

LazyRun run_lazily(const std::string& memory, const std::string& initrd, const std::string& append,
                   const Arguments& more = {}) {
  const TemporaryFile stats("");
  Arguments arguments = {
      "run",      "--accept", "lazy",       "--kernel",  guest_file("vmlinuz-6.12"),
      "--initrd", initrd,     "--memory",   memory,      "--append",
      append,     "--stats",  stats.path(), "--timeout", "800"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  ProgramResult program = run_program(arguments);
  EXPECT_EQ(program.status, 0) << program.err;
  const auto all = nlohmann::json::parse(contents_of(stats.path()), nullptr, false);
  EXPECT_TRUE(all.is_object());
  return {std::move(program), all.is_object() ? all["validation"] : nlohmann::json::object()};
}

void expect_passed(const LazyRun& run) {
  const std::string& log = run.program.out;
  EXPECT_NE(log.find("softsnp self-check: PASS"), std::string::npos) << log;
  for (const char* splat : {"WARNING:", "BUG:", "Oops", "Call Trace", "unchecked MSR"}) {
    EXPECT_EQ(log.find(splat), std::string::npos) << log;
  }
  EXPECT_EQ(run.validation.value("validated_twice", 1), 0);
}

// kB of /proc/meminfo's Unaccepted line that the script has shown under that label.
long unaccepted(const LazyRun& run, const std::string& label) {
  const std::string before = "lazy-memory " + label + " ";
  const usize at = run.program.out.find(before);
  return at == std::string::npos ? -1
                                 : std::strtol(&run.program.out[at + before.size()], nullptr, 10);
}

std::string digest_in(const std::string& text) {
  const usize at = text.find("digest ");
  return at == std::string::npos ? "" : text.substr(at + 7, 96);
}

TEST(LazyMemory, IsAcceptedWhenItIsUsed) {
  const LinuxGuest guest;
  ASSERT_TRUE(guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  const TemporaryFile initrd(guest.initrd_with_tools());
  const std::string append = LinuxGuest::append_for("lazy_memory.sh");
  const LazyRun run = run_lazily("2G", initrd.path(), append);
  expect_passed(run);
  EXPECT_NE(run.program.out.find("efi: EFI v2.10 by softsnp"), std::string::npos);
  const long before = unaccepted(run, "before");
  const long after = unaccepted(run, "after");
  EXPECT_GT(before, 1'000'000);
  EXPECT_LT(after, before - 400'000);
  const ProgramResult measured =
      run_program({"measure", "--accept", "lazy", "--kernel", guest_file("vmlinuz-6.12"),
                   "--initrd", initrd.path(), "--memory", "2G", "--append", append});
  EXPECT_EQ(measured.out, digest_in(run.program.err) + "\n");
}

TEST(LazyMemory, MostOfALargeGuestIsNeverAccepted) {
  const LinuxGuest guest;
  ASSERT_TRUE(guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  const LazyRun run = run_lazily("8G", guest_file("initrd.gz"),
                                 "console=ttyS0 panic=-1 nokaslr softsnp.selfcheck=snp");
  expect_passed(run);
  const long launched = run.validation.value("launched_pages", 0);
  const long accepted = run.validation.value("accepted_pages", 0);
  const long never = run.validation.value("never_accepted_pages", 0);
  std::printf("launched %.1f %%, accepted %.1f %%, never accepted %.1f %%\n",
              100.0 * static_cast<double>(launched) / 2097152,
              100.0 * static_cast<double>(accepted) / 2097152,
              100.0 * static_cast<double>(never) / 2097152);
  EXPECT_EQ(launched + accepted + never, 2097152 - 32);
  EXPECT_GT(never, 2097152 * 3 / 4);
  EXPECT_LT(launched, 2097152 / 64);
  EXPECT_GT(run.validation["pvalidate"].value("2m", 0), 100);
}

// The self-check asks for VMPL0: the kernel's own words are looked at instead.
TEST(LazyMemory, IsAcceptedThroughAnSvsm) {
  const LinuxGuest guest;
  ASSERT_TRUE(guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  const LazyRun run =
      run_lazily("2G", guest_file("initrd.gz"),
                 "console=ttyS0 panic=-1 nokaslr softsnp.selfcheck=snp", {"--svsm"});
  EXPECT_NE(run.program.out.find("SNP running at VMPL2"), std::string::npos) << run.program.out;
  EXPECT_NE(run.program.out.find("ok      kernel log has no warning"), std::string::npos);
  EXPECT_EQ(run.validation.value("validated_twice", 1), 0);
  EXPECT_GT(run.validation["pvalidate"].value("2m", 0), 100);
  EXPECT_GT(run.validation.value("never_accepted_pages", 0), 200'000);
}

TEST(LazyMemory, AKernelThatCannotAcceptIsRefused) {
  for (const char* command : {"run", "measure"}) {
    const ProgramResult result =
        run_program({command, "--accept", "lazy", "--kernel", guest_file("vmlinuz-6.1")});
    EXPECT_EQ(result.status, 2);
    EXPECT_NE(result.err.find("cannot accept memory itself"), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1);
    EXPECT_TRUE(result.out.empty());
  }
}

TEST(LazyMemory, SizesThatCannotWorkAreRefused) {
  for (const char* memory : {"4M", "32M", "2T"}) {
    const ProgramResult result = run_program(
        {"run", "--accept", "lazy", "--kernel", guest_file("vmlinuz-6.12"), "--memory", memory});
    EXPECT_EQ(result.status, 2) << memory;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  }
}

}  // namespace
}  // namespace softsnp::end_to_end
