#include "attest/verdict_text.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace softsnp::attest {
namespace {

using Json = nlohmann::ordered_json;

const char* word(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return "passed";
    case Outcome::failed:
      return "FAILED";
    case Outcome::skipped:
      break;
  }
  return "skipped";
}

std::string failed_names(const Verdict& verdict) {
  std::string names;
  for (const Check& check : verdict.checks) {
    if (check.outcome == Outcome::failed) {
      names += (names.empty() ? "" : ", ") + check.name;
    }
  }
  return names;
}

}  // namespace

// Names of files come from outside and need not be UTF-8.
std::string verdict_json(const Verdict& verdict, const VerdictContext& context) {
  Json json;
  json["verified"] = verdict.holds();
  json["report"] = context.file;
  json["version"] = context.report.fields.version;
  json["time"] = time_text(context.at);
  json["trusted_ark"] = {{"file", context.ark.file()},
                         {"name", context.ark.common_name()},
                         {"sha256", context.ark.fingerprint()}};
  for (const Check& check : verdict.checks) {
    std::string outcome = word(check.outcome);
    outcome = check.outcome == Outcome::failed ? "failed" : outcome;
    json["checks"].push_back(
        {{"name", check.name}, {"outcome", outcome}, {"detail", check.detail}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string verdict_text(const Verdict& verdict, const VerdictContext& context) {
  std::string text =
      fmt::format("{}: report of version {}\ntrusted: {} in {}, SHA-256 {}\n", context.file,
                  context.report.fields.version, context.ark.common_name(), context.ark.file(),
                  context.ark.fingerprint());
  for (const Check& check : verdict.checks) {
    text += fmt::format("{:<8}{:<35}{}\n", word(check.outcome), check.name, check.detail);
  }
  text += verdict.holds() ? std::string("verified\n")
                          : fmt::format("NOT verified: {}\n", failed_names(verdict));
  return text;
}

}  // namespace softsnp::attest
