// A verdict for people and for programs.
#pragma once

#include <string>

#include "attest/verify.hpp"

namespace softsnp::attest {

// file: the report's. at: the time the certificates were held against.
struct VerdictContext {
  std::string file;
  const Report& report;
  const Certificate& ark;  // which was trusted
  i64 at = 0;
};

std::string verdict_json(const Verdict& verdict, const VerdictContext& context);
std::string verdict_text(const Verdict& verdict, const VerdictContext& context);

}  // namespace softsnp::attest
