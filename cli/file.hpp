// A whole file in memory, or one line about why not.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/types.hpp"

namespace softsnp::cli {

// Regular files and pipes. More than limit bytes is an error, as is an empty file.
Result<std::vector<u8>, std::string> read_file(const std::string& path, u64 limit);

}  // namespace softsnp::cli
