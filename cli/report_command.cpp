#include "cli/report_command.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "attest/id_block_files.hpp"
#include "attest/report_text.hpp"
#include "attest/sha.hpp"
#include "attest/verdict_text.hpp"
#include "cli/credential_files.hpp"
#include "cli/file.hpp"

namespace softsnp::cli {
namespace {

constexpr int bad_input = 2, not_verified = 6;
constexpr u64 largest_file = u64{1} << 20;

using Done = Result<void, std::string>;

Result<attest::Report, std::string> load_report(const std::string& path) {
  const auto bytes = read_file(path, largest_file);
  if (!bytes) {
    return Failure{bytes.error()};
  }
  return attest::read_report(path, *bytes);
}

Result<attest::ReportPolicy, std::string> load_policy(const std::string& path) {
  if (path.empty()) {
    return attest::ReportPolicy();
  }
  const auto bytes = read_file(path, largest_file);
  if (!bytes) {
    return Failure{bytes.error()};
  }
  return attest::read_report_policy(path, *bytes);
}

Done add_id_block_checks(attest::Verdict& verdict, const attest::Report& report,
                         const ReportOptions& options) {
  const auto block_bytes = read_file(options.id_block, largest_file);
  const auto auth_bytes = read_file(options.id_auth, largest_file);
  for (const auto* const read : {&block_bytes, &auth_bytes}) {
    if (!*read) {
      return Failure{read->error()};
    }
  }
  const auto block = attest::read_id_block(options.id_block, *block_bytes);
  if (!block) {
    return Failure{block.error()};
  }
  const auto auth = attest::read_id_auth(options.id_auth, *auth_bytes);
  if (!auth) {
    return Failure{auth.error()};
  }
  attest::check_id_block(verdict, report.fields, *block, *auth);
  return {};
}

// What was found, as text. Exit status in status.
Result<std::string, std::string> verify_report(const ReportOptions& options,
                                               const attest::Report& report, int& status) {
  const auto credentials = read_credentials(options);
  if (!credentials) {
    return Failure{credentials.error()};
  }
  const auto policy = load_policy(options.policy);
  if (!policy) {
    return Failure{policy.error()};
  }
  const auto key =
      static_cast<psp::SigningKey>(psp::signer_info::signing_key(report.fields.signer_info));
  const auto chain = attest::choose_chain(*credentials, key);
  if (!chain) {
    return Failure{chain.error()};
  }
  const i64 now = std::chrono::duration_cast<std::chrono::seconds>(
                      std::chrono::system_clock::now().time_since_epoch())
                      .count();
  const i64 at = options.at.value_or(now);
  attest::Verdict verdict = attest::verify({report, *chain, credentials->revocations, *policy, at});
  if (!options.id_block.empty()) {
    if (const Done done = add_id_block_checks(verdict, report, options); !done) {
      return Failure{done.error()};
    }
  }
  status = verdict.holds() ? 0 : not_verified;
  const attest::VerdictContext context{options.file, report, chain->ark, at};
  return options.json ? attest::verdict_json(verdict, context)
                      : attest::verdict_text(verdict, context);
}

int refuse(const std::string& text) {
  fmt::print(stderr, "softsnp: {}\n", text);
  return bad_input;
}

}  // namespace

int report_command(const ReportOptions& options) {
  attest::start_libcrypto();
  const auto report = load_report(options.file);
  if (!report) {
    return refuse(report.error());
  }
  int status = 0;
  std::string text;
  if (options.verify) {
    const auto found = verify_report(options, *report, status);
    if (!found) {
      return refuse(found.error());
    }
    text = *found;
  } else {
    text = options.json ? attest::report_json(*report) : attest::report_text(*report);
  }
  fmt::print("{}", text);
  return std::fflush(stdout) == 0 ? status : refuse("standard output: cannot be written");
}

}  // namespace softsnp::cli
