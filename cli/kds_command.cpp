#include "cli/kds_command.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace softsnp::cli {

// The server is the program beside this one.
int kds_command(const KdsOptions& options) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = (self.parent_path() / "softsnp-kds").string();
  const std::string port = std::to_string(options.listen.port);
  ::execl(program.c_str(), program.c_str(), options.directory.c_str(),
          options.listen.address.c_str(), port.c_str(), nullptr);
  fmt::print(stderr, "softsnp: {}: {}\n", program, std::strerror(errno));
  return 1;
}

}  // namespace softsnp::cli
