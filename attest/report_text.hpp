// A report for people and for programs: every field, by its name in the manual.
#pragma once

#include <string>

#include "attest/report.hpp"

namespace softsnp::attest {

std::string report_json(const Report& report);  // one JSON object, indented
std::string report_text(const Report& report);  // lines "field  value"

}  // namespace softsnp::attest
