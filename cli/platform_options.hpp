// What the command line says to softsnp platform init, platform certs and kds.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "arch/psp/tcb_version.hpp"
#include "base/types.hpp"

namespace softsnp::cli {

struct PlatformInitOptions {
  std::string directory;
  psp::Product product = psp::Product::genoa;
  // As texts: how they read depends on the product. Empty: not given.
  std::string chip_id;
  std::string tcb, committed_tcb, reported_tcb;
  std::string csp_id;
  std::optional<i64> valid_from;  // seconds since 1970
};

struct PlatformCertsOptions {
  std::string directory;
  std::string out;
};

struct Endpoint {
  std::string address;
  u16 port = 0;  // 0: any that is free
};

struct KdsOptions {
  std::string directory;
  Endpoint listen{"127.0.0.1", 0};
};

// 127.0.0.1:8080, [::1]:8080: numbers alone.
std::optional<Endpoint> parse_endpoint(const std::string& text);

struct PlatformCommands {
  CLI::App* init = nullptr;
  CLI::App* certs = nullptr;
  CLI::App* kds = nullptr;
};
PlatformCommands add_platform_commands(CLI::App& app, PlatformInitOptions& init,
                                       PlatformCertsOptions& certs, KdsOptions& kds);

}  // namespace softsnp::cli
