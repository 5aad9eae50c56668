// softsnp measure: the launch digest alone on standard output.
#pragma once

#include "cli/measure_options.hpp"

namespace softsnp::cli {

// Returns the program's exit status.
int measure_command(const MeasureOptions& options);

}  // namespace softsnp::cli
