// The policy's file: every key, and what is not one.
#include "attest/report_policy.hpp"

#include <gtest/gtest.h>

#include "attest/verify.hpp"

namespace softsnp::attest::test {
namespace {

Result<ReportPolicy, std::string> read(const std::string& text) {
  return read_report_policy("p.json", {reinterpret_cast<const u8*>(text.data()), text.size()});
}

std::string error(const std::string& text) {
  const auto policy = read(text);
  return policy ? "read" : policy.error();
}

// Names of the checks that fail for the report.
std::vector<std::string> failing(const std::string& text, const psp::AttestationReport& report,
                                 TcbLayout layout = TcbLayout::milan_genoa) {
  const auto policy = read(text);
  EXPECT_TRUE(policy.ok()) << (policy ? "" : policy.error());
  Verdict verdict;
  check_policy(verdict, report, *policy, layout);
  std::vector<std::string> names;
  for (const Check& check : verdict.checks) {
    if (check.outcome == Outcome::failed) {
      names.push_back(check.name);
    }
  }
  return names;
}

using Names = std::vector<std::string>;

psp::AttestationReport plain_report() {
  psp::AttestationReport report{};
  report.policy = 0x30000;
  std::fill(std::begin(report.report_id_ma), std::end(report.report_id_ma), u8{0xFF});
  return report;
}

TEST(ReportPolicy, WhatIsNotUnderstoodIsAnError) {
  EXPECT_EQ(error(""), "p.json: not JSON, at byte 1");
  EXPECT_EQ(error("[]"), "p.json: expected a JSON object");
  EXPECT_EQ(error("{} x"), "p.json: not JSON, at byte 4");
  EXPECT_EQ(error(R"({"mesurement": "00"})"), "p.json: mesurement: no such key in a policy");
  EXPECT_EQ(error(R"({"vmpl": 0, "vmpl": 1})"), "p.json: vmpl: stands there twice");
  EXPECT_EQ(error(R"({"minimum_tcb": {"snp": 1, "snp": 2}})"), "p.json: snp: stands there twice");
  EXPECT_EQ(error(R"({"minimum_tcb": {"smp": 1}})"),
            "p.json: minimum_tcb.smp: expected fmc, boot_loader, tee, snp or microcode");
  EXPECT_EQ(error(R"({"minimum_tcb": {"snp": 256}})"),
            "p.json: minimum_tcb.snp: expected a number from 0 to 255");
  EXPECT_EQ(error(R"({"minimum_tcb": {}})"),
            "p.json: minimum_tcb: expected an object with at least one key");
  EXPECT_EQ(error(R"({"measurement": "00"})"),
            "p.json: measurement: expected a string of 96 hexadecimal digits");
  EXPECT_EQ(error(R"({"chip_ids": ["0"]})"),
            "p.json: chip_ids[0]: expected a string of 128 hexadecimal digits");
  EXPECT_EQ(error(R"({"report_data": []})"), "p.json: report_data: expected at least one value");
  EXPECT_EQ(error(R"({"allow_debug": 1})"), "p.json: allow_debug: expected true or false");
  EXPECT_EQ(error(R"({"vmpl": -1})"), "p.json: vmpl: expected a number from 0 to 4294967295");
  EXPECT_EQ(error(R"({"minimum_guest_svn": 1.5})"),
            "p.json: minimum_guest_svn: expected a number from 0 to 4294967295");
  EXPECT_EQ(error(R"({"guest_policy_required": "30000"})"),
            "p.json: guest_policy_required: expected a number, or a string such as \"0x30000\"");
  EXPECT_EQ(error(R"({"platform_info": {"tsme": true}})"),
            "p.json: platform_info.tsme: expected a bit of PLATFORM_INFO such as tsme_en");
  EXPECT_EQ(error(R"({"minimum_firmware": {"minor": 1}})"),
            "p.json: minimum_firmware.major: expected a number from 0 to 255");
  EXPECT_EQ(error("{\"a\nb\": 1}"), "p.json: not JSON, at byte 4");
  EXPECT_EQ(error(R"({"a\nb": 1})"), "p.json: a?b: no such key in a policy");
  EXPECT_EQ(error("{\"\xFF\": 1}"), "p.json: not JSON, at byte 3");
}

TEST(ReportPolicy, DeepNestingIsRefusedAndNotFollowed) {
  EXPECT_NE(error(std::string(500'000, '[')), "read");
  EXPECT_NE(error(R"({"vmpl": )" + std::string(200'000, '[') + std::string(200'000, ']') + "}"),
            "read");
}

TEST(ReportPolicy, Tcb) {
  psp::AttestationReport report = plain_report();
  report.reported_tcb = report.current_tcb = report.committed_tcb =
      psp::encode_tcb(psp::Product::milan, {0, 3, 1, 8, 0x73});
  EXPECT_EQ(failing(R"({"minimum_tcb": {"boot_loader": 3, "tee": 1, "snp": 8, "microcode": 115}})",
                    report),
            Names{});
  for (const char* const text :
       {R"({"minimum_tcb": {"boot_loader": 4}})", R"({"minimum_tcb": {"tee": 2}})",
        R"({"minimum_tcb": {"snp": 9}})", R"({"minimum_tcb": {"microcode": 116}})"}) {
    EXPECT_EQ(failing(text, report), Names{"policy.minimum_tcb"}) << text;
  }
  EXPECT_EQ(failing(R"({"minimum_tcb": {"fmc": 9}})", report), Names{}) << "Turin's alone";
  EXPECT_EQ(failing(R"({"minimum_tcb": {"fmc": 9}})", report, TcbLayout::turin),
            Names{"policy.minimum_tcb"});
  EXPECT_EQ(failing(R"({"minimum_tcb": {"snp": 0}})", report, TcbLayout::unknown),
            Names{"policy.minimum_tcb"});
}

TEST(ReportPolicy, FirmwareVersion) {
  psp::AttestationReport report = plain_report();
  report.current = report.committed = {25, 55, 1, 0};
  const auto wants = [&report](const char* minimum) {
    return failing(std::string(R"({"minimum_firmware": )") + minimum + "}", report);
  };
  EXPECT_EQ(wants(R"({"major": 1, "minor": 55, "build": 25})"), Names{});
  EXPECT_EQ(wants(R"({"major": 1, "minor": 54, "build": 99})"), Names{});
  EXPECT_EQ(wants(R"({"major": 1, "minor": 55, "build": 26})"), Names{"policy.minimum_firmware"});
  EXPECT_EQ(wants(R"({"major": 2})"), Names{"policy.minimum_firmware"});
  report.committed.build = 24;
  EXPECT_EQ(wants(R"({"major": 1, "minor": 55, "build": 25}, "allow_provisional_firmware": true)"),
            Names{"policy.minimum_firmware"});
}

TEST(ReportPolicy, GuestPolicyBits) {
  psp::AttestationReport report = plain_report();
  EXPECT_EQ(failing(R"({"guest_policy_required": "0x30000"})", report), Names{});
  EXPECT_EQ(failing(R"({"guest_policy_required": "0x130000"})", report),
            Names{"policy.guest_policy_required"});
  EXPECT_EQ(failing(R"({"guest_policy_forbidden": 65536})", report),
            Names{"policy.guest_policy_forbidden"});
  EXPECT_EQ(failing(R"({"allow_smt": false})", report), Names{"policy.allow_smt"});
  EXPECT_EQ(failing(R"({"require_single_socket": true})", report),
            Names{"policy.require_single_socket"});
  report.policy |= 1u << 20;
  EXPECT_EQ(failing(R"({"require_single_socket": true})", report), Names{});
  report.policy |= 1u << 18;
  EXPECT_EQ(failing("{}", report), Names{"policy.allow_migration_agent"});
  EXPECT_EQ(failing(R"({"allow_migration_agent": true})", report), Names{});
}

TEST(ReportPolicy, VmplAndSvn) {
  psp::AttestationReport report = plain_report();
  report.vmpl = 2;
  report.guest_svn = 7;
  EXPECT_EQ(failing(R"({"vmpl": [0, 2], "maximum_vmpl": 2, "minimum_guest_svn": 7})", report),
            Names{});
  EXPECT_EQ(failing(R"({"vmpl": [0, 1], "maximum_vmpl": 1, "minimum_guest_svn": 8})", report),
            (Names{"policy.minimum_guest_svn", "policy.vmpl", "policy.maximum_vmpl"}));
}

TEST(ReportPolicy, PlatformBitsBothWays) {
  psp::AttestationReport report = plain_report();
  report.platform_info = 0x2;
  EXPECT_EQ(failing(R"({"platform_info": {"tsme_en": true, "smt_en": false}})", report), Names{});
  EXPECT_EQ(failing(R"({"platform_info": {"tsme_en": false}})", report),
            Names{"policy.platform_info"});
  EXPECT_EQ(failing(R"({"platform_info": {"ecc_en": true}})", report),
            Names{"policy.platform_info"});
}

TEST(ReportPolicy, OneOfSeveralValues) {
  psp::AttestationReport report = plain_report();
  report.measurement.bytes[0] = 0xAB;
  const std::string right = "ab" + std::string(94, '0');
  const std::string wrong(96, '1');
  EXPECT_EQ(failing(R"({"measurement": [")" + wrong + R"(", ")" + right + R"("]})", report),
            Names{});
  EXPECT_EQ(failing(R"({"measurement": ")" + wrong + R"("})", report), Names{"policy.measurement"});
}

}  // namespace
}  // namespace softsnp::attest::test
