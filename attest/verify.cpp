#include "attest/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace softsnp::attest {
namespace {

constexpr usize listed_problems = 8;

std::string join(const std::vector<std::string>& problems) {
  std::string text;
  for (usize i = 0; i < std::min(problems.size(), listed_problems); ++i) {
    text += (i == 0 ? "" : "; ") + problems[i];
  }
  if (problems.size() > listed_problems) {
    text += fmt::format("; and {} more", problems.size() - listed_problems);
  }
  return text;
}

}  // namespace

bool Verdict::holds() const {
  return std::none_of(checks.begin(), checks.end(),
                      [](const Check& check) { return check.outcome == Outcome::failed; });
}

void Verdict::pass(std::string_view name, std::string detail) {
  checks.push_back({std::string(name), Outcome::passed, std::move(detail)});
}

void Verdict::fail(std::string_view name, std::string detail) {
  checks.push_back({std::string(name), Outcome::failed, std::move(detail)});
}

void Verdict::skip(std::string_view name, std::string detail) {
  checks.push_back({std::string(name), Outcome::skipped, std::move(detail)});
}

void Verdict::judge(std::string_view name, const std::vector<std::string>& problems,
                    std::string good) {
  if (problems.empty()) {
    pass(name, std::move(good));
  } else {
    fail(name, join(problems));
  }
}

std::string time_text(i64 at) {
  const std::time_t time = at;
  std::tm parts{};
  if (::gmtime_r(&time, &parts) == nullptr) {
    return std::to_string(at);
  }
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

Verdict verify(const VerifyInputs& inputs) {
  const psp::AttestationReport& report = inputs.report.fields;
  Verdict verdict;
  verdict.judge(check::format, format_problems(report),
                fmt::format("version {}, reserved bits as they must be", report.version));
  check_chain(verdict, inputs.chain);
  check_times(verdict, inputs.chain, inputs.revocations, inputs.at);
  check_signature(verdict, report, inputs.chain);
  const TcbLayout layout = check_leaf(verdict, report, inputs.chain);
  check_policy(verdict, report, inputs.policy, layout);
  return verdict;
}

}  // namespace softsnp::attest
