// A report with everything it is held against, ways to tamper with it, and what a verifier must say
// to each. Works on a report and a chain from anywhere: a test's own, or a machine's run.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "arch/psp/attestation_report.hpp"

namespace softsnp::attest::test {

struct Subject {
  std::vector<u8> report;
  std::vector<std::vector<u8>> credentials;  // as files: DER, PEM or a table; the ARK is among them
  std::string policy;                        // JSON
  i64 at = 0;
};

// The strictest policy that the report fulfils: every value as it is.
std::string exact_policy(const psp::AttestationReport& report);

struct Finding {
  std::optional<std::string> bad_input;       // refused before any check: one line
  std::map<std::string, std::string> failed;  // checks by name, with their detail
  std::set<std::string> names() const;
};
Finding examine(const Subject& subject);

// A change of the signed or unsigned bytes of a report of a Milan or Genoa, version 3 or later,
// with policy exact_policy. failing: the checks that must fail, and no others, if the report is
// signed again after the change; without that, "signature" as well unless only unsigned bytes
// changed. Empty: the change could be true, and only the signature tells.
struct FieldTamper {
  const char* name;
  std::function<void(psp::AttestationReport&)> apply;
  std::set<std::string> failing;
  const char* detail;  // part of what the first of them must say; empty for none
  bool touches_signature = false;
};
std::vector<FieldTamper> field_tampers();

// A change of the file, after which it is no report at all. error: part of the line.
struct FileTamper {
  const char* name;
  std::function<void(std::vector<u8>&)> apply;
  const char* error;
};
std::vector<FileTamper> file_tampers();

// A change of the time against which the certificates are held.
struct TimeTamper {
  const char* name;
  i64 shift;  // seconds
  const char* detail;
};
std::vector<TimeTamper> time_tampers();

psp::AttestationReport fields_of(const std::vector<u8>& report);
std::vector<u8> bytes_of(const psp::AttestationReport& report);

}  // namespace softsnp::attest::test
