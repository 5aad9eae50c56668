// Any file as report, held against any policy and a chain around the key of the sheet's real
// report: one line, or a description and a verdict; no other bytes than the real ones are signed.
// Input: u16 length of the policy, the policy, the report.
#include <nlohmann/json.hpp>

#include "attest/report_text.hpp"
#include "attest/verdict_text.hpp"
#include "tests/attest/known_report.hpp"
#include "tests/attest/tampers.hpp"
#include "tests/attest/test_chain.hpp"
#include "tests/fuzz/fuzz_bytes.hpp"

namespace {

using namespace softsnp;

void require(bool condition) {
  if (!condition) {
    __builtin_trap();
  }
}

attest::Certificate certificate(const attest::test::CertificateSpec& spec) {
  return *attest::Certificate::from_der("file", attest::test::make_certificate(spec));
}

// Small keys: they are quickly made, and only the check of their size fails.
attest::Chain make_chain() {
  namespace at = attest::test;
  const attest::KeyHandle authority = at::make_rsa_key(2048);
  const attest::KeyHandle key =
      at::known_public_key(at::from_hex(at::known_qx), at::from_hex(at::known_qy));
  at::ChainSpec spec;
  spec.product = psp::Product::milan;
  spec.tcb = {0, 3, 0, 8, 0x73};
  const auto report = at::fields_of(at::known_report());
  spec.chip_id.assign(std::begin(report.chip_id), std::end(report.chip_id));
  at::CertificateSpec ark;
  ark.subject = ark.issuer = "ARK-Milan";
  ark.key = ark.signer = authority.get();
  ark.authority = true;
  at::CertificateSpec ask = ark;
  ask.subject = "SEV-Milan";
  at::CertificateSpec leaf = at::leaf_spec(spec, key.get());
  leaf.signer = authority.get();
  return {certificate(ark), certificate(ask), certificate(leaf), attest::CertificateRole::vcek};
}

bool passed(const attest::Verdict& verdict, std::string_view name) {
  for (const attest::Check& check : verdict.checks) {
    if (check.name == name) {
      return check.outcome == attest::Outcome::passed;
    }
  }
  return false;
}

void judge(const attest::Report& report, const attest::ReportPolicy& policy) {
  static const attest::Chain chain = make_chain();
  static const std::vector<u8> real = attest::test::known_report();
  const attest::Verdict verdict =
      attest::verify({report, chain, {}, policy, attest::test::test_time});
  const auto bytes = attest::signed_part(report.fields);
  const bool is_real = std::equal(bytes.begin(), bytes.end(), real.begin());
  require(is_real || !passed(verdict, attest::check::signature));
  require(!verdict.holds());
  const attest::VerdictContext context{"file", report, chain.ark, 0};
  require(nlohmann::json::accept(attest::verdict_json(verdict, context)));
  require(!attest::verdict_text(verdict, context).empty());
}

void run(std::span<const u8> input) {
  fuzz::Bytes bytes(input);
  const auto length = bytes.take<u16>();
  const auto policy_file = bytes.take_bytes(length);
  const auto file = bytes.take_bytes(input.size());
  const auto policy = attest::read_report_policy("policy", policy_file);
  require(policy || policy.error().find('\n') == std::string::npos);
  const auto report = attest::read_report("report", file);
  if (!report) {
    require(report.error().find('\n') == std::string::npos);
    return;
  }
  require(nlohmann::json::accept(attest::report_json(*report)));
  require(!attest::report_text(*report).empty());
  judge(*report, policy ? *policy : attest::ReportPolicy());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const softsnp::u8* data, softsnp::usize size) {
  run({data, size});
  return 0;
}
