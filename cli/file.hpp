// Whole files, or one line about why not.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/types.hpp"

namespace softsnp::cli {

enum class Empty : u8 { refused, allowed };

// Regular files and pipes. More than limit bytes is an error.
Result<std::vector<u8>, std::string> read_file(const std::string& path, u64 limit,
                                               Empty empty = Empty::refused);

// A new file or one written over. One line about why not.
Result<void, std::string> write_file(const std::string& path, std::span<const u8> bytes);

}  // namespace softsnp::cli
