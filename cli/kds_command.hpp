// softsnp kds: serves until a signal comes.
#pragma once

#include "cli/platform_options.hpp"

namespace softsnp::cli {

// Returns the program's exit status.
int kds_command(const KdsOptions& options);

}  // namespace softsnp::cli
