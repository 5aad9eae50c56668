// softsnp report as a user runs it: files, exit statuses, what is printed.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/attest/known_report.hpp"
#include "tests/attest/tampers.hpp"
#include "tests/attest/test_chain.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

namespace at = attest::test;
using Arguments = std::vector<std::string>;
using Json = nlohmann::json;

std::string text_of(const at::Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

at::ChainSpec known_spec() {
  const auto report = at::fields_of(at::known_report());
  at::ChainSpec spec;
  spec.product = psp::Product::milan;
  spec.tcb = {0, 3, 0, 8, 0x73};
  spec.chip_id.assign(std::begin(report.chip_id), std::end(report.chip_id));
  return spec;
}

// The sheet's real report, and a chain of ours around the real key, valid in 2027.
class ReportCommand : public testing::Test {
 protected:
  ReportCommand() {
    const at::ChainSpec spec = known_spec();
    const at::TestChain chain = at::make_chain(spec);
    const auto key = at::known_public_key(at::from_hex(at::known_qx), at::from_hex(at::known_qy));
    put("report.bin", text_of(at::known_report()));
    put("ark.der", text_of(chain.ark));
    put("ask.der", text_of(chain.ask));
    put("vcek.der", text_of(at::make_certificate(at::leaf_spec(spec, key.get()))));
  }
  ~ReportCommand() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string put(const std::string& name, const std::string& contents) {
    std::ofstream(folder_ / name, std::ios::binary) << contents;
    return path(name);
  }
  ProgramResult verify(const Arguments& more, const std::string& when = "2027-01-15") {
    Arguments all = {"report", "verify", path("report.bin"), "--at", when};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  }
  static void expect_bad_input(const ProgramResult& result, const std::string& part) {
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_TRUE(result.out.empty()) << result.out;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  }

 private:
  std::filesystem::path folder_ = [] {
    std::string name = std::filesystem::temp_directory_path() / "softsnp-report-XXXXXX";
    return std::filesystem::path(::mkdtemp(name.data()));
  }();
};

TEST_F(ReportCommand, Show) {
  const ProgramResult text = run_program({"report", "show", path("report.bin")});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_NE(text.out.find("measurement                 7a1e5c266c0108db"), std::string::npos);
  const ProgramResult json = run_program({"report", "show", "--json", path("report.bin")});
  EXPECT_EQ(json.status, 0) << json.err;
  EXPECT_EQ(Json::parse(json.out)["reported_tcb"]["microcode"], 0x73);
}

TEST_F(ReportCommand, VerifiesWithADirectoryOrFiles) {
  const ProgramResult directory = verify({"--certs", path("")});
  EXPECT_EQ(directory.status, 0) << directory.out << directory.err;
  EXPECT_NE(directory.out.find("trusted: ARK-Milan in "), std::string::npos);
  const ProgramResult files =
      verify({"--json", "--chain", path("vcek.der"), path("ask.der"), path("ark.der")});
  EXPECT_EQ(files.status, 0) << files.out << files.err;
  const Json json = Json::parse(files.out);
  EXPECT_EQ(json["verified"], true);
  EXPECT_EQ(json["trusted_ark"]["name"], "ARK-Milan");
  EXPECT_EQ(json["checks"][0], Json({{"name", "format"},
                                     {"outcome", "passed"},
                                     {"detail", "version 2, reserved bits as they must be"}}));
}

TEST_F(ReportCommand, WhatDoesNotHoldIsSixAndNamed) {
  const ProgramResult late = verify({"--certs", path("")}, "2030-01-01T00:00:00Z");
  EXPECT_EQ(late.status, 6) << late.out << late.err;
  EXPECT_NE(late.out.find("\nNOT verified: validity\n"), std::string::npos) << late.out;
  put("p.json",
      R"({"report_data": ")" + std::string(128, '0') + R"(", "minimum_tcb": {"snp": 9}})");
  const ProgramResult policy = verify({"--certs", path(""), "--policy", path("p.json")});
  EXPECT_EQ(policy.status, 6);
  EXPECT_NE(policy.out.find("\nNOT verified: policy.report_data, policy.minimum_tcb\n"),
            std::string::npos)
      << policy.out;
  put("crl.der",
      text_of(at::make_revocation_list({"ARK-Milan", at::authority_keys().ark.get(), {0x77}})));
  const ProgramResult revoked = verify({"--certs", path("")});
  EXPECT_EQ(revoked.status, 6);
  EXPECT_NE(revoked.out.find("\nNOT verified: revocation\n"), std::string::npos) << revoked.out;
  at::Bytes changed = at::known_report();
  changed[0x90] ^= 1;
  put("report.bin", text_of(changed));
  const ProgramResult tampered =
      verify({"--json", "--chain", path("vcek.der"), path("ask.der"), path("ark.der")});
  EXPECT_EQ(tampered.status, 6);
  EXPECT_EQ(Json::parse(tampered.out)["verified"], false);
}

TEST_F(ReportCommand, BadInputIsTwoAndOneLine) {
  const std::string folder = path("");
  put("junk", "junk");
  expect_bad_input(verify({"--certs", path("none")}), "is no directory");
  expect_bad_input(verify({"--chain", path("junk")}), "certificate table");
  expect_bad_input(verify({"--chain", path("vcek.der"), path("ask.der")}), "(ARK) was not given");
  expect_bad_input(verify({"--certs", folder, "--policy", path("junk")}), "not JSON");
  expect_bad_input(verify({"--certs", folder, "--crl", path("ark.der")}),
                   "expected a revocation list");
  expect_bad_input(verify({"--certs", folder, "--chain", path("ark.der")}), "excludes");
  expect_bad_input(verify({}), "--certs or --chain is missing");
  expect_bad_input(verify({"--certs", folder, "--id-block", path("junk")}), "need each other");
  expect_bad_input(
      verify({"--certs", folder, "--id-block", path("junk"), "--id-auth", path("junk")}),
      "ID block: expected 96 bytes");
  expect_bad_input(verify({"--certs", folder}, "tomorrow"), "--at");
  for (const at::FileTamper& tamper : at::file_tampers()) {
    at::Bytes bytes = at::known_report();
    tamper.apply(bytes);
    const std::string expected = bytes.empty() ? "is empty" : tamper.error;
    put("report.bin", text_of(bytes));
    expect_bad_input(run_program({"report", "show", path("report.bin")}), expected);
    expect_bad_input(verify({"--certs", folder}), expected);
  }
  expect_bad_input(run_program({"report", "show", path("none")}), "No such file");
  expect_bad_input(run_program({"report", "show"}), "softsnp report show --help");
  expect_bad_input(run_program({"report"}), "softsnp report --help");
}

}  // namespace
}  // namespace softsnp::end_to_end
