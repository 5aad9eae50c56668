// softsnp run: the composition root. Puts machine, hypervisor, VMM and observers together, runs the
// guest, says how it ended.
#pragma once

#include "cli/options.hpp"

namespace softsnp::cli {

// Returns the program's exit status.
int run_command(const RunOptions& options);

}  // namespace softsnp::cli
