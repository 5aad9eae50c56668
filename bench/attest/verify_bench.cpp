// Verification of a report: with what was read before, and from the files on.
#include <benchmark/benchmark.h>

#include "attest/verify.hpp"
#include "tests/attest/tampers.hpp"
#include "tests/attest/test_chain.hpp"

namespace softsnp::bench {
namespace {

using namespace attest;

// A signed report with its chain and the strictest policy that it fulfils.
test::Subject make_subject() {
  const test::ChainSpec spec;
  const test::TestChain chain = test::make_chain(spec);
  psp::AttestationReport report{};
  report.version = 3;
  report.policy = 0x30000;
  report.signature_algorithm = 1;
  report.current_tcb = report.reported_tcb = report.committed_tcb = report.launch_tcb =
      psp::encode_tcb(spec.product, spec.tcb);
  report.cpuid_family = 0x19;
  report.cpuid_model = 0x11;
  std::copy(spec.chip_id.begin(), spec.chip_id.end(), report.chip_id);
  std::fill(std::begin(report.report_id_ma), std::end(report.report_id_ma), u8{0xFF});
  test::sign_report(report, chain.leaf_key.get());
  return {test::bytes_of(report),
          {chain.ark, chain.ask, chain.leaf},
          test::exact_policy(report),
          test::test_time};
}

void finish(benchmark::State& state, bool good) {
  if (!good) {
    state.SkipWithError("a good report does not verify");
  }
  state.SetItemsProcessed(static_cast<i64>(state.iterations()));
}

void verify_report(benchmark::State& state) {
  const test::Subject subject = make_subject();
  Credentials credentials;
  bool good = true;
  for (const auto& file : subject.credentials) {
    good = add_credentials(credentials, "file", file).ok() && good;
  }
  const Report report{test::fields_of(subject.report), ReportForm::raw};
  const auto chain = choose_chain(credentials, psp::SigningKey::vcek);
  const auto policy = read_report_policy(
      "policy", {reinterpret_cast<const u8*>(subject.policy.data()), subject.policy.size()});
  for (auto _ : state) {
    good = verify({report, *chain, credentials.revocations, *policy, subject.at}).holds() && good;
  }
  finish(state, good);
}
BENCHMARK(verify_report);

void verify_files(benchmark::State& state) {
  const test::Subject subject = make_subject();
  bool good = true;
  for (auto _ : state) {
    const test::Finding finding = test::examine(subject);
    good = !finding.bad_input && finding.failed.empty() && good;
  }
  finish(state, good);
}
BENCHMARK(verify_files);

}  // namespace
}  // namespace softsnp::bench
