// softsnp platform init, softsnp platform certs.
#pragma once

#include "cli/platform_options.hpp"

namespace softsnp::cli {

// Both return the program's exit status.
int platform_init_command(const PlatformInitOptions& options);
int platform_certs_command(const PlatformCertsOptions& options);

}  // namespace softsnp::cli
