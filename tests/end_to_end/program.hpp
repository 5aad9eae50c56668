// The softsnp program itself, run as a user runs it.
#pragma once

#include <string>
#include <vector>

#include "base/types.hpp"

namespace softsnp::end_to_end {

struct ProgramResult {
  int status = -1;  // exit status; 128 + n after signal n
  std::string out;
  std::string err;
};

// Nothing on standard input.
ProgramResult run_program(const std::vector<std::string>& arguments);

// A file with these bytes, gone at the end of the scope.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& contents);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The whole file; empty if there is none.
std::string contents_of(const std::string& path);

// Where scripts/fetch_kernels.sh and make_initramfs.sh leave the guest's files; the environment
// variable SOFTSNP_GUEST_DIR overrides.
std::string guest_file(const std::string& name);

}  // namespace softsnp::end_to_end
