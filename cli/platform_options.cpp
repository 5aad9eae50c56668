#include "cli/platform_options.hpp"

#include <arpa/inet.h>

#include <charconv>

#include "cli/option_parsers.hpp"
#include "platform/calendar.hpp"

namespace softsnp::cli {
namespace {

bool is_numeric(const std::string& address) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, address.c_str(), &parsed) == 1 ||
         ::inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

std::optional<i64> parse_start(const std::string& text) {
  return platform::parse_time(text);
}

void add_init(CLI::App& app, PlatformInitOptions& options) {
  constexpr const char* tcb_form = "bl=N,tee=N,snp=N,ucode=N[,fmc=N]";
  app.add_option("DIR", options.directory, "the new platform directory")->required();
  add(app, "--product", options.product, parse_product, "the processor, default Genoa",
      "Milan|Genoa|Turin");
  app.add_option("--chip-id", options.chip_id,
                 "128 hexadecimal digits, 16 for Turin; default random")
      ->type_name("HEX");
  app.add_option("--tcb", options.tcb, "versions of the firmware that runs; default plausible ones")
      ->type_name(tcb_form);
  app.add_option("--committed-tcb", options.committed_tcb, "default as --tcb")->type_name(tcb_form);
  app.add_option("--reported-tcb", options.reported_tcb, "default as --committed-tcb")
      ->type_name(tcb_form);
  app.add_option("--csp-id", options.csp_id, "the cloud provider in the VLEK, default softsnp")
      ->type_name("NAME");
  add(app, "--valid-from", options.valid_from, parse_start,
      "when all certificates begin, default now", "TIME such as 2026-01-31T12:00:00Z");
}

}  // namespace

std::optional<Endpoint> parse_endpoint(const std::string& text) {
  const usize colon = text.rfind(':');
  if (colon == text.npos) {
    return std::nullopt;
  }
  Endpoint endpoint{text.substr(0, colon), 0};
  const bool bracketed = endpoint.address.starts_with('[') && endpoint.address.ends_with(']');
  if (bracketed) {
    endpoint.address = endpoint.address.substr(1, endpoint.address.size() - 2);
  }
  const bool is_six = endpoint.address.find(':') != endpoint.address.npos;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, endpoint.port);
  const bool good = error == std::errc() && stopped == end && is_six == bracketed;
  return good && is_numeric(endpoint.address) ? std::optional(endpoint) : std::nullopt;
}

PlatformCommands add_platform_commands(CLI::App& app, PlatformInitOptions& init,
                                       PlatformCertsOptions& certs, KdsOptions& kds) {
  PlatformCommands commands;
  CLI::App& platform = *app.add_subcommand("platform", "a chip that many runs can be");
  platform.require_subcommand(1);
  commands.init = platform.add_subcommand("init", "makes a chip, its keys and certificates");
  add_init(*commands.init, init);
  commands.certs = platform.add_subcommand("certs", "writes certificates for verifiers");
  commands.certs->add_option("DIR", certs.directory, "the platform directory")->required();
  commands.certs->add_option("--out", certs.out, "where they go")->type_name("DIR")->required();
  commands.kds = app.add_subcommand("kds", "answers over HTTP as AMD's key distribution server");
  commands.kds->add_option("DIR", kds.directory, "the platform directory")->required();
  add(*commands.kds, "--listen", kds.listen, parse_endpoint,
      "default 127.0.0.1:0; port 0 takes a free one", "ADDRESS:PORT");
  return commands;
}

}  // namespace softsnp::cli
