#include "cli/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/numbers.hpp"
#include "cli/version.hpp"

namespace softsnp::cli {
namespace {

// An option whose text goes through a parser that returns an optional.
template <class Value, class Parser>
CLI::Option* add(CLI::App& app, const std::string& name, Value& value, Parser parse,
                 const std::string& description, const std::string& expected) {
  const auto set = [&value, parse, expected](const std::string& text) {
    const auto parsed = parse(text);
    if (!parsed) {
      throw CLI::ValidationError("expected " + expected + ", got '" + text + "'");
    }
    value = static_cast<Value>(*parsed);
  };
  const auto bound = [name, set](const std::vector<std::string>& texts) {
    try {
      set(texts.back());
    } catch (const CLI::ValidationError& error) {
      throw CLI::ValidationError(name.substr(name.find("--")), error.what());
    }
    return true;
  };
  return app.add_option(name, bound, description)->type_name(expected)->expected(1);
}

std::optional<image::Mode> parse_mode(const std::string& text) {
  if (text == "snp") {
    return image::Mode::snp;
  }
  return text == "none" ? std::optional(image::Mode::plain) : std::nullopt;
}

std::optional<psp::Product> parse_product(const std::string& text) {
  if (text == "milan") {
    return psp::Product::milan;
  }
  if (text == "genoa") {
    return psp::Product::genoa;
  }
  return text == "turin" ? std::optional(psp::Product::turin) : std::nullopt;
}

std::optional<u16> parse_port(const std::string& text) {
  if (text == "none") {
    return u16{0};
  }
  const auto port = parse_number(text);
  const bool fits = port && *port != 0 && *port <= 0xFFFC;
  return fits ? std::optional(static_cast<u16>(*port)) : std::nullopt;
}

void add_run_options(CLI::App& run, RunOptions& options) {
  run.add_option("--kernel", options.kernel,
                 "bzImage, ELF64 or Multiboot image; without it the built-in sample guest runs")
      ->type_name("FILE");
  run.add_option("--initrd", options.initrd, "initial RAM disk")->type_name("FILE");
  run.add_option("--append", options.append, "kernel command line")->type_name("STRING");
  add(run, "-m,--memory", options.memory, parse_size, "guest memory, default 512M",
      "SIZE such as 512M or 4G");
  add(run, "--policy", options.policy, parse_hex, "guest policy, default 30000", "HEX");
  add(run, "--seed", options.seed, parse_number, "of all keys and random numbers, default 0",
      "NUMBER");
  add(run, "--mode", options.mode, parse_mode, "confidential guest or plain VM, default snp",
      "snp|none");
  add(run, "--timeout", options.timeout, parse_seconds, "ends the run after that much host time",
      "SECONDS");
  run.add_option("--trace", options.trace, "writes one JSON object a line for each event")
      ->type_name("FILE");
  run.add_option("--stats", options.stats, "writes counters at the end")->type_name("FILE");
  add(run, "--product", options.product, parse_product, "the processor, default genoa",
      "milan|genoa|turin");
  add(run, "--debug-exit", options.debug_exit_port, parse_port,
      "port of isa-debug-exit, default 0xf4", "PORT or none");
  run.add_flag("--quiet", options.quiet, "no line about the launch");
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Failure<ParseStop> usage_error(const std::string& text) {
  return Failure{ParseStop{2, one_line("softsnp: " + text + " (see softsnp run --help)")}};
}

}  // namespace

Result<RunOptions, ParseStop> parse_command_line(std::span<const char* const> arguments) {
  RunOptions options;
  CLI::App app("softsnp: a complete AMD SEV-SNP machine in software", "softsnp");
  app.set_version_flag("--version", std::string("softsnp ") + version);
  app.require_subcommand(1);
  CLI::App& run = *app.add_subcommand("run", "starts a guest");
  add_run_options(run, options);
  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::CallForVersion& version_text) {
    return Failure{ParseStop{0, version_text.what()}};
  } catch (const CLI::Success&) {  // help, of whichever command was named
    return Failure{ParseStop{0, run.parsed() || run.count() ? run.help() : app.help()}};
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  if (options.kernel.empty() && !options.initrd.empty()) {
    return usage_error("--initrd needs --kernel");
  }
  return options;
}

}  // namespace softsnp::cli
