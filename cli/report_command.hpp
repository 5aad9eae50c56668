#pragma once

#include "cli/report_options.hpp"

namespace softsnp::cli {

// Exit status: 0, 2 for input that cannot be used, 6 for a report that does not verify.
int report_command(const ReportOptions& options);

}  // namespace softsnp::cli
