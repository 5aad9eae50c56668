#include "cli/options.hpp"

#include <algorithm>

#include "cli/numbers.hpp"
#include "cli/option_parsers.hpp"
#include "cli/version.hpp"

namespace softsnp::cli {
namespace {

std::optional<image::Mode> parse_mode(const std::string& text) {
  if (text == "snp") {
    return image::Mode::snp;
  }
  if (text == "sev") {
    return image::Mode::sev;
  }
  if (text == "sev-es") {
    return image::Mode::sev_es;
  }
  return text == "none" ? std::optional(image::Mode::plain) : std::nullopt;
}

std::optional<snp::InjectionMode> parse_injection(const std::string& text) {
  if (text == "normal") {
    return snp::InjectionMode::normal;
  }
  if (text == "restricted") {
    return snp::InjectionMode::restricted;
  }
  return text == "alternate" ? std::optional(snp::InjectionMode::alternate) : std::nullopt;
}

std::optional<u16> parse_port(const std::string& text) {
  if (text == "none") {
    return u16{0};
  }
  const auto port = parse_number(text);
  const bool fits = port && *port != 0 && *port <= 0xFFFC;
  return fits ? std::optional(static_cast<u16>(*port)) : std::nullopt;
}

std::optional<kvm::DirectMapPolicy> parse_direct_map(const std::string& text) {
  if (text == "split-on-assign") {
    return kvm::DirectMapPolicy::split_on_assign;
  }
  if (text == "split-on-small-assign") {
    return kvm::DirectMapPolicy::split_on_small_assign;
  }
  if (text == "split-on-fault") {
    return kvm::DirectMapPolicy::split_on_fault;
  }
  return text == "unmap-on-assign" ? std::optional(kvm::DirectMapPolicy::unmap_on_assign)
                                   : std::nullopt;
}

std::optional<u32> parse_request_limit(const std::string& text) {
  const auto limit = parse_number(text);
  const bool fits = limit && *limit != 0 && *limit <= 1'000'000;
  return fits ? std::optional(static_cast<u32>(*limit)) : std::nullopt;
}

std::optional<u32> parse_vcpus(const std::string& text) {
  const auto count = parse_number(text);
  const bool fits = count && *count != 0 && *count <= maximum_vcpus;
  return fits ? std::optional(static_cast<u32>(*count)) : std::nullopt;
}

void add_run_options(CLI::App& run, RunOptions& options) {
  run.add_option("--kernel", options.kernel,
                 "bzImage, ELF64 or Multiboot image; without it the built-in sample guest runs")
      ->type_name("FILE");
  run.add_option("--initrd", options.initrd, "initial RAM disk")->type_name("FILE");
  run.add_option("--append", options.append, "kernel command line")->type_name("STRING");
  add(run, "-m,--memory", options.memory, parse_size, "guest memory, default 512M",
      "SIZE such as 512M or 4G");
  add(run, "--smp", options.vcpus, parse_vcpus, "vCPUs, default 1", "NUMBER from 1 to 64");
  add(run, "--accept", options.acceptance, parse_acceptance,
      "who validates memory: the launch all of it, or the kernel what it uses; default eager",
      "lazy|eager");
  run.add_flag("--svsm", options.svsm,
               "the guest runs at VMPL2 under the built-in SVSM, which is at VMPL0");
  add(run, "--policy", options.policy, parse_hex,
      "guest policy, default 30000 for snp, 5 for sev-es, 1 for sev", "HEX");
  add(run, "--seed", options.seed, parse_number, "of all keys and random numbers, default 0",
      "NUMBER");
  add(run, "--mode", options.mode, parse_mode, "confidential guest or plain VM, default snp",
      "snp|sev-es|sev|none");
  add(run, "--timeout", options.timeout, parse_seconds, "ends the run after that much host time",
      "SECONDS");
  run.add_option("--trace", options.trace, "writes one JSON object a line for each event")
      ->type_name("FILE");
  run.add_option("--stats", options.stats, "writes counters at the end")->type_name("FILE");
  run.add_option("--symbols", options.symbols,
                 "names for the guest's addresses: an ELF file, System.map or /proc/kallsyms")
      ->type_name("FILE");
  add(run, "--conversions", options.conversions, parse_conversions,
      "prints at the end how pages went from private to shared and back, step by step",
      conversion_syntax);
  add(run, "--product", options.product, parse_product,
      "the processor, default the platform's or genoa", "milan|genoa|turin");
  add_platform_options(run, options);
  add(run, "--debug-exit", options.debug_exit_port, parse_port,
      "port of isa-debug-exit, default 0xf4", "PORT or none");
  add(run, "--host-direct-map", options.direct_map, parse_direct_map,
      "how the host keeps its direct map off guest pages, default split-on-small-assign",
      "split-on-assign|split-on-small-assign|split-on-fault|unmap-on-assign");
  add(run, "--guest-requests", options.guest_requests_per_second, parse_request_limit,
      "messages to the secure processor a second of the guest's time, default no limit",
      "NUMBER from 1 to 1000000");
  add(run, "--injection", options.injection, parse_injection,
      "what the host may inject into an snp guest, default normal", "normal|restricted|alternate");
  run.add_flag("--quiet", options.quiet, "no line about the launch");
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// The innermost subcommand that was named, also if its options were wrong.
const CLI::App& named(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->parsed() || command->count() != 0) {
      return named(*command);
    }
  }
  return app;
}

std::string full_name(const CLI::App& command) {
  const CLI::App* const parent = command.get_parent();
  return (parent != nullptr ? full_name(*parent) + " " : "") + command.get_name();
}

Failure<ParseStop> usage_error(const std::string& text, const CLI::App& command) {
  return Failure{
      ParseStop{2, one_line("softsnp: " + text + " (see " + full_name(command) + " --help)")}};
}

}  // namespace

Result<Command, ParseStop> parse_command_line(std::span<const char* const> arguments) {
  RunOptions run_options;
  MeasureOptions measure_options;
  ReportOptions report_options;
  CLI::App app("softsnp: a complete AMD SEV-SNP machine in software", "softsnp");
  app.set_version_flag("--version", std::string("softsnp ") + version);
  app.require_subcommand(1);
  CLI::App& run = *app.add_subcommand("run", "starts a guest");
  add_run_options(run, run_options);
  CLI::App& measure = *app.add_subcommand("measure", "prints the launch digest a guest will have");
  add_measure_options(measure, measure_options);
  CLI::App& report = *app.add_subcommand("report", "shows or verifies an attestation report");
  add_report_options(report, report_options);
  PlatformInitOptions init_options;
  PlatformCertsOptions certs_options;
  KdsOptions kds_options;
  const PlatformCommands platform =
      add_platform_commands(app, init_options, certs_options, kds_options);
  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::CallForVersion& version_text) {
    return Failure{ParseStop{0, version_text.what()}};
  } catch (const CLI::Success&) {  // help, of whichever command was named
    return Failure{ParseStop{0, named(app).help()}};
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what(), named(app));
  }
  if (measure.parsed()) {
    if (const auto problem = complete(measure_options)) {
      return usage_error(*problem, measure);
    }
    return Command(std::move(measure_options));
  }
  if (platform.init->parsed()) {
    return Command(std::move(init_options));
  }
  if (platform.certs->parsed()) {
    return Command(std::move(certs_options));
  }
  if (platform.kds->parsed()) {
    return Command(std::move(kds_options));
  }
  if (report.parsed()) {
    if (const auto problem = complete(report_options)) {
      return usage_error(*problem, named(report));
    }
    return Command(std::move(report_options));
  }
  if (const auto problem = complete(run_options, run_options.mode == image::Mode::snp)) {
    return usage_error(*problem, run);
  }
  if (run_options.acceptance == image::Acceptance::lazy) {
    if (run_options.mode != image::Mode::snp) {
      return usage_error("--accept lazy needs --mode snp", run);
    }
    if (run_options.kernel.empty()) {
      return usage_error("--accept lazy needs --kernel", run);
    }
  }
  if (run_options.svsm && run_options.mode != image::Mode::snp) {
    return usage_error("--svsm needs --mode snp", run);
  }
  if (run_options.kernel.empty() && !run_options.initrd.empty()) {
    return usage_error("--initrd needs --kernel", run);
  }
  return Command(std::move(run_options));
}

}  // namespace softsnp::cli
