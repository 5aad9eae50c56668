// Whether a report is to be believed: format, chain, times, revocation, signature, what the leaf
// says of chip and TCB, and the relying party's policy. Shares no code with machine/psp.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "attest/credentials.hpp"
#include "attest/report.hpp"
#include "attest/report_policy.hpp"

namespace softsnp::attest {

// skipped: there is nothing to check, or another check's failure makes this one impossible.
enum class Outcome : u8 { passed, failed, skipped };

struct Check {
  std::string name;
  Outcome outcome = Outcome::passed;
  std::string detail;
};

struct Verdict {
  std::vector<Check> checks;
  bool holds() const;  // none failed
  void pass(std::string_view name, std::string detail);
  void fail(std::string_view name, std::string detail);
  void skip(std::string_view name, std::string detail);
  // Failed if there are problems, which become its detail.
  void judge(std::string_view name, const std::vector<std::string>& problems, std::string good);
};

// Names of checks; those of the policy are "policy." and the key in its file.
namespace check {
inline constexpr std::string_view format = "format", ark = "chain.ark", ask = "chain.ask",
                                  leaf = "chain.leaf", validity = "validity",
                                  revocation = "revocation", signing_key = "signing_key",
                                  signature = "signature", extensions = "extensions", tcb = "tcb",
                                  tcb_order = "tcb_order", chip_id = "chip_id", product = "product",
                                  id_block = "id_block", id_auth = "id_auth";
}  // namespace check

struct VerifyInputs {
  const Report& report;
  const Chain& chain;
  const std::vector<RevocationList>& revocations;
  const ReportPolicy& policy;
  i64 at = 0;  // seconds since 1970, UTC
};

// All checks, whatever fails.
Verdict verify(const VerifyInputs& inputs);

// The parts, in that order.
void check_chain(Verdict& verdict, const Chain& chain);
void check_times(Verdict& verdict, const Chain& chain,
                 const std::vector<RevocationList>& revocations, i64 at);
void check_signature(Verdict& verdict, const psp::AttestationReport& report, const Chain& chain);
// Returns where the report's TCB components stand, for which the leaf's word is taken if the report
// does not say.
TcbLayout check_leaf(Verdict& verdict, const psp::AttestationReport& report, const Chain& chain);
void check_policy(Verdict& verdict, const psp::AttestationReport& report,
                  const ReportPolicy& policy, TcbLayout layout);
// That the guest was launched with this ID block, signed by this key.
void check_id_block(Verdict& verdict, const psp::AttestationReport& report,
                    const psp::IdBlock& block, const psp::IdAuth& auth);

std::string time_text(i64 at);  // 2026-01-31T12:00:00Z

}  // namespace softsnp::attest
