// A whole file in memory that the host gives in large pieces: faulting in 4 KiB at a time costs
// more than measuring what lies there.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/types.hpp"

namespace softsnp::cli {

class LargeFile {
 public:
  std::span<const u8> bytes() const { return bytes_; }

 private:
  friend Result<LargeFile, std::string> read_large_file(const std::string& path, u64 limit);
  std::shared_ptr<void> owner_;
  std::span<const u8> bytes_;
};

// As read_file, which it calls for what is small or no regular file.
Result<LargeFile, std::string> read_large_file(const std::string& path, u64 limit);

}  // namespace softsnp::cli
