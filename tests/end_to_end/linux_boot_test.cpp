// Debian's unmodified kernels boot to their self-check, by the program itself.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

class LinuxBoot : public testing::Test {
 protected:
  // The guest's files come from the scripts, never from the repository.
  static bool has(const std::string& file) {
    const bool there = ::access(file.c_str(), R_OK) == 0;
    EXPECT_TRUE(there) << file
                       << " is missing: run scripts/fetch_kernels.sh and "
                          "scripts/make_initramfs.sh (./check does so first)";
    return there;
  }

  void boot(const std::string& kernel, const std::string& mode) {
    if (!has(guest_file(kernel)) || !has(guest_file("initrd.gz"))) {
      return;
    }
    const ProgramResult result =
        run_program({"run", "--kernel", guest_file(kernel), "--initrd", guest_file("initrd.gz"),
                     "--mode", mode, "--append",
                     std::string("console=ttyS0 earlyprintk=serial panic=-1 softsnp.selfcheck=") +
                         (mode == "none" ? "plain" : mode),
                     "--timeout", "800"});
    EXPECT_EQ(result.status, 0) << result.err << "\n" << last_lines(result.out);
    log_ = result.out;
    expect("softsnp self-check: PASS");
    for (const char* splat :
         {"WARNING:", "BUG:", "Oops", "Call Trace", "unchecked MSR", "self-check: FAILED"}) {
      const auto at = log_.find(splat);
      EXPECT_EQ(at, std::string::npos) << log_.substr(std::min(at, log_.size()), 3000);
    }
  }
  void boot_snp(const std::string& kernel) {
    boot(kernel, "snp");
    expect("Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP");
    expect("SNP guest platform device initialized");
  }
  void boot_plain(const std::string& kernel) {
    boot(kernel, "none");
    EXPECT_EQ(log_.find("Memory Encryption Features active"), std::string::npos);
  }
  void expect(const char* text) {
    EXPECT_NE(log_.find(text), std::string::npos) << "missing: " << text << "\n"
                                                  << last_lines(log_);
  }

 private:
  static std::string last_lines(const std::string& log) {
    constexpr usize enough = 3000;
    return log.size() <= enough ? log : "..." + log.substr(log.size() - enough);
  }
  std::string log_;
};

TEST_F(LinuxBoot, Snp612) {
  boot_snp("vmlinuz-6.12");
  expect("self-check: ok      attestation report through configfs-tsm");
}
TEST_F(LinuxBoot, Snp61) {
  boot_snp("vmlinuz-6.1");
}
TEST_F(LinuxBoot, SevEs612) {
  boot("vmlinuz-6.12", "sev-es");
  expect("Memory Encryption Features active: AMD SEV SEV-ES");
}
TEST_F(LinuxBoot, Sev612) {
  boot("vmlinuz-6.12", "sev");
  expect("Memory Encryption Features active: AMD SEV");
}
TEST_F(LinuxBoot, SevEs61) {
  boot("vmlinuz-6.1", "sev-es");
}
TEST_F(LinuxBoot, Sev61) {
  boot("vmlinuz-6.1", "sev");
}
TEST_F(LinuxBoot, Plain612) {
  boot_plain("vmlinuz-6.12");
}
TEST_F(LinuxBoot, Plain61) {
  boot_plain("vmlinuz-6.1");
}

}  // namespace
}  // namespace softsnp::end_to_end
