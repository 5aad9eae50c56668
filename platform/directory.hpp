// The platform directory: mode 0700, secrets in files of mode 0600.
#pragma once

#include <string>

#include "base/result.hpp"
#include "platform/platform.hpp"

namespace softsnp::platform {

// A new directory; one line if there is anything already. All or nothing.
Result<void, std::string> save(const Platform& platform, const std::string& directory);

// Checks that the parts belong together. One line names the file that is wrong.
Result<Platform, std::string> load(const std::string& directory);

}  // namespace softsnp::platform
