// The command lines of softsnp report show and softsnp report verify.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/types.hpp"

namespace CLI {
class App;
}

namespace softsnp::cli {

struct ReportOptions {
  bool verify = false;  // else show
  std::string file;
  bool json = false;
  // verify only
  std::string certificates;  // a directory
  std::vector<std::string> chain;
  std::vector<std::string> revocations;
  std::string policy;
  std::optional<i64> at;  // seconds since 1970; none: now
  std::string id_block, id_auth;
};

// Fills options while app is parsed; both must stay.
void add_report_options(CLI::App& app, ReportOptions& options);

// After parsing. One line if the options contradict each other.
std::optional<std::string> complete(ReportOptions& options);

}  // namespace softsnp::cli
