#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "cli/kds_command.hpp"
#include "cli/measure_command.hpp"
#include "cli/options.hpp"
#include "cli/platform_command.hpp"
#include "cli/report_command.hpp"
#include "cli/run_command.hpp"

namespace {

int perform(const softsnp::cli::RunOptions& options) {
  return softsnp::cli::run_command(options);
}
int perform(const softsnp::cli::MeasureOptions& options) {
  return softsnp::cli::measure_command(options);
}
int perform(const softsnp::cli::PlatformInitOptions& options) {
  return softsnp::cli::platform_init_command(options);
}
int perform(const softsnp::cli::PlatformCertsOptions& options) {
  return softsnp::cli::platform_certs_command(options);
}
int perform(const softsnp::cli::KdsOptions& options) {
  return softsnp::cli::kds_command(options);
}
int perform(const softsnp::cli::ReportOptions& options) {
  return softsnp::cli::report_command(options);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = softsnp::cli::parse_command_line({argv, static_cast<softsnp::usize>(argc)});
  if (!options) {
    const auto& stop = options.error();
    fmt::print(stop.status == 0 ? stdout : stderr, "{}\n", stop.text);
    return stop.status;
  }
  try {
    return std::visit([](const auto& command) { return perform(command); }, *options);
  } catch (const std::exception& error) {  // the host has no memory left, and the like
    fmt::print(stderr, "softsnp: internal fault: {}\n", error.what());
    return 1;
  }
}
