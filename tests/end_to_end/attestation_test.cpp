// The whole way: a platform is made, a guest of Debian's kernel gets a report for a nonce through
// its unmodified driver, and the host's side verifies it with that platform's chain and a policy;
// then every way to tamper with it is refused for the right reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/attest/tampers.hpp"
#include "tests/end_to_end/guest_lines.hpp"
#include "tests/end_to_end/linux_guest.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

namespace at = attest::test;
using Bytes = std::vector<u8>;

constexpr i64 valid_from = 1'767'225'600;  // 2026-01-01
constexpr i64 a_day = 86'400;

Bytes file_bytes(const std::string& path) {
  const std::string text = contents_of(path);
  return {text.begin(), text.end()};
}

// One platform, one boot.
class Attestation : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string name = (std::filesystem::temp_directory_path() / "softsnp-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    make_platform("chip");
    boot();
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder); }

  static void make_platform(const std::string& chip) {
    const ProgramResult made = run_program({"platform", "init", folder + "/" + chip, "--product",
                                            "Genoa", "--valid-from", "2026-01-01"});
    ASSERT_EQ(made.status, 0) << made.err;
    const ProgramResult certs = run_program(
        {"platform", "certs", folder + "/" + chip, "--out", folder + "/" + chip + "-certs"});
    ASSERT_EQ(certs.status, 0) << certs.err;
  }

  static void boot() {
    LinuxGuest guest;
    ASSERT_TRUE(guest.is_there()) << "run scripts/fetch_kernels.sh and scripts/make_initramfs.sh";
    const TemporaryFile initrd(guest.initrd_with_tools());
    const ProgramResult result = run_program(
        {"run", "--platform", folder + "/chip", "--kernel", guest_file("vmlinuz-6.12"), "--initrd",
         initrd.path(), "--append", LinuxGuest::append_for("attest.sh") + " softsnp.nonce=" + nonce,
         "--timeout", "300"});
    ASSERT_EQ(result.status, 0) << result.err;
    launch = result.err;
    std::string console = result.out;
    std::erase(console, '\r');
    const GuestLines lines(console);
    ASSERT_TRUE(lines.complete());
    const auto made = lines.call("report").report();
    ASSERT_TRUE(made) << lines.call("report").text();
    report = at::bytes_of(*made);
    table = lines.call("ext").bytes("certs");
    std::ofstream(folder + "/report.bin", std::ios::binary)
        .write(reinterpret_cast<const char*>(report.data()),
               static_cast<std::streamsize>(report.size()));
  }

  static std::vector<Bytes> chain_of(const std::string& chip) {
    const std::string certs = folder + "/" + chip + "-certs/";
    return {file_bytes(certs + "ark.pem"), file_bytes(certs + "ask.pem"),
            file_bytes(certs + "vcek.pem")};
  }
  static at::Subject good() {
    return {report, chain_of("chip"), at::exact_policy(at::fields_of(report)), valid_from + a_day};
  }

  static inline const std::string nonce = std::string(64, 'a') + std::string(64, '5');
  static inline std::string folder, launch;
  static inline Bytes report, table;
};

TEST_F(Attestation, AReportForTheNonceVerifies) {
  const at::Finding finding = at::examine(good());
  EXPECT_FALSE(finding.bad_input) << *finding.bad_input;
  EXPECT_TRUE(finding.failed.empty()) << finding.failed.begin()->first;
  const psp::AttestationReport fields = at::fields_of(report);
  EXPECT_EQ(fields.report_data[0], 0xAA);
  EXPECT_EQ(fields.report_data[63], 0x55);
  std::string measurement;
  for (const u8 byte : fields.measurement.bytes) {
    constexpr const char* digits = "0123456789abcdef";
    measurement += {digits[byte >> 4], digits[byte & 15]};
  }
  EXPECT_NE(launch.find("digest " + measurement), std::string::npos) << launch;
}

TEST_F(Attestation, TheHostsTableIsThePlatformsAndItsLeafVerifies) {
  const Bytes written = file_bytes(folder + "/chip-certs/certs.bin");
  ASSERT_FALSE(written.empty());
  ASSERT_GE(table.size(), written.size());
  EXPECT_TRUE(std::equal(written.begin(), written.end(), table.begin()));
  at::Subject subject = good();
  subject.credentials = {file_bytes(folder + "/chip-certs/ark.pem"), written};
  EXPECT_TRUE(at::examine(subject).names().empty());
}

TEST_F(Attestation, TheProgramVerifiesIt) {
  const std::string certs = folder + "/chip-certs";
  const ProgramResult good_run = run_program(
      {"report", "verify", folder + "/report.bin", "--certs", certs, "--at", "2026-01-02"});
  EXPECT_EQ(good_run.status, 0) << good_run.out << good_run.err;
  const ProgramResult late = run_program(
      {"report", "verify", folder + "/report.bin", "--certs", certs, "--at", "2060-01-02"});
  EXPECT_EQ(late.status, 6) << late.out << late.err;
}

TEST_F(Attestation, EveryTamperedFieldIsRefusedForItsReason) {
  unsigned variants = 0;
  for (const at::FieldTamper& tamper : at::field_tampers()) {
    at::Subject subject = good();
    psp::AttestationReport changed = at::fields_of(report);
    tamper.apply(changed);
    subject.report = at::bytes_of(changed);
    std::set<std::string> expected = tamper.failing;
    if (!tamper.touches_signature) {
      expected.insert("signature");
    }
    const at::Finding finding = at::examine(subject);
    EXPECT_FALSE(finding.bad_input) << tamper.name << ": " << *finding.bad_input;
    EXPECT_EQ(finding.names(), expected) << tamper.name;
    ++variants;
  }
  EXPECT_GE(variants, 14u);
}

TEST_F(Attestation, WhatIsNoReportIsBadInput) {
  for (const at::FileTamper& tamper : at::file_tampers()) {
    at::Subject subject = good();
    tamper.apply(subject.report);
    const at::Finding finding = at::examine(subject);
    ASSERT_TRUE(finding.bad_input) << tamper.name;
    EXPECT_NE(finding.bad_input->find(tamper.error), std::string::npos)
        << tamper.name << ": " << *finding.bad_input;
  }
}

TEST_F(Attestation, ExpiredAndNotYetValid) {
  for (const i64 time : {valid_from - a_day, valid_from + 8 * 366 * a_day}) {
    at::Subject subject = good();
    subject.at = time;
    EXPECT_EQ(at::examine(subject).names(), (std::set<std::string>{"validity"})) << time;
  }
}

TEST_F(Attestation, AnotherPlatformsChainIsRefused) {
  make_platform("other");
  at::Subject subject = good();
  subject.credentials = chain_of("other");
  const std::set<std::string> names = at::examine(subject).names();
  EXPECT_TRUE(names.contains("signature"));
  EXPECT_TRUE(names.contains("chip_id"));
  EXPECT_FALSE(names.contains("chain.leaf"));
  subject.credentials[2] = chain_of("chip")[2];
  EXPECT_TRUE(at::examine(subject).names().contains("chain.leaf"));
}

}  // namespace
}  // namespace softsnp::end_to_end
