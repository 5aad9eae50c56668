// The certificates and revocation lists that the command line names.
#pragma once

#include "attest/credentials.hpp"
#include "cli/report_options.hpp"

namespace softsnp::cli {

// One line about the first file that cannot be used.
Result<attest::Credentials, std::string> read_credentials(const ReportOptions& options);

}  // namespace softsnp::cli
