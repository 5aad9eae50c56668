// The command line as a value.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "arch/boot/platform.hpp"
#include "base/result.hpp"
#include "cli/conversion_options.hpp"
#include "cli/guest_files.hpp"
#include "cli/measure_options.hpp"
#include "cli/platform_options.hpp"
#include "cli/report_options.hpp"
#include "cli/run_platform.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "image/launch_plan.hpp"

namespace softsnp::cli {

// Of a run.
inline constexpr u32 maximum_vcpus = 64;

struct RunOptions : GuestOptions, PlatformOptions {
  std::optional<u64> policy;  // default: what the mode asks for
  u64 seed = 0;
  u32 vcpus = 1;  // 1 to maximum_vcpus
  image::Mode mode = image::Mode::snp;
  std::optional<std::chrono::milliseconds> timeout;
  std::string trace;
  std::string stats;
  std::string symbols;
  ConversionOptions conversions;
  u16 debug_exit_port = boot::platform::debug_exit_port;  // 0 = none
  kvm::DirectMapPolicy direct_map = kvm::DirectMapPolicy::split_on_small_assign;
  u32 guest_requests_per_second = 0;  // 0 = no limit
  snp::InjectionMode injection = snp::InjectionMode::normal;
  bool quiet = false;
};

// The program is to end at once: with help or a version on standard output, or with one line about
// the mistake on standard error.
struct ParseStop {
  int status = 0;
  std::string text;
};

using Command = std::variant<RunOptions, MeasureOptions, ReportOptions, PlatformInitOptions,
                             PlatformCertsOptions, KdsOptions>;

Result<Command, ParseStop> parse_command_line(std::span<const char* const> arguments);

}  // namespace softsnp::cli
