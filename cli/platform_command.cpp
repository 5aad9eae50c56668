#include "cli/platform_command.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <ctime>

#include "platform/directory.hpp"
#include "platform/export.hpp"
#include "platform/files.hpp"
#include "platform/product.hpp"

namespace softsnp::cli {
namespace {

constexpr int bad_input = 2;

int refuse(const std::string& text) {
  fmt::print(stderr, "softsnp: {}\n", text);
  return bad_input;
}

using Settings = Result<platform::Settings, std::string>;

// text empty: the value that is there stays.
Result<void, std::string> take_tcb(const char* option, const std::string& text,
                                   psp::Product product, psp::TcbComponents& tcb) {
  if (text.empty()) {
    return {};
  }
  const auto parsed = platform::parse_tcb(text, product);
  if (!parsed) {
    return Failure{fmt::format("{}: {}", option, parsed.error())};
  }
  tcb = *parsed;
  return {};
}

Result<void, std::string> take_tcbs(const PlatformInitOptions& options,
                                    platform::Settings& settings) {
  const psp::Product product = options.product;
  settings.tcb = psp::default_tcb(product);
  if (auto taken = take_tcb("--tcb", options.tcb, product, settings.tcb); !taken) {
    return taken;
  }
  settings.committed_tcb = settings.tcb;
  if (auto taken =
          take_tcb("--committed-tcb", options.committed_tcb, product, settings.committed_tcb);
      !taken) {
    return taken;
  }
  settings.reported_tcb = settings.committed_tcb;
  return take_tcb("--reported-tcb", options.reported_tcb, product, settings.reported_tcb);
}

Settings settings_from(const PlatformInitOptions& options) {
  platform::Settings settings;
  settings.product = options.product;
  if (auto taken = take_tcbs(options, settings); !taken) {
    return Failure{taken.error()};
  }
  if (options.chip_id.empty()) {
    settings.chip_id = platform::random_chip_id(options.product);
  } else {
    const auto id = platform::parse_chip_id(options.chip_id, options.product);
    if (!id) {
      return Failure{"--chip-id: " + id.error()};
    }
    settings.chip_id = *id;
  }
  if (!options.csp_id.empty()) {
    settings.csp_id = options.csp_id;
  }
  // The only look at the clock: a certificate begins when it is made.
  settings.valid_from = options.valid_from.value_or(std::time(nullptr));
  if (auto checked = platform::check(settings); !checked) {
    return Failure{checked.error()};
  }
  return std::move(settings);
}

}  // namespace

int platform_init_command(const PlatformInitOptions& options) {
  const Settings settings = settings_from(options);
  if (!settings) {
    return refuse(settings.error());
  }
  // Before the keys, which take seconds.
  if (const auto is_free = platform::check_free(options.directory); !is_free) {
    return refuse(is_free.error());
  }
  const platform::Platform made = platform::make_platform(*settings, platform::random_secrets(),
                                                          platform::generate_root_keys());
  if (const auto saved = platform::save(made, options.directory); !saved) {
    return refuse(saved.error());
  }
  fmt::print(stderr, "softsnp: {}: a {} with chip id {}, reporting {}\n", options.directory,
             platform::stepping_name(settings->product), platform::chip_id_text(*settings),
             platform::tcb_text(settings->reported_tcb, settings->product));
  return 0;
}

int platform_certs_command(const PlatformCertsOptions& options) {
  const auto loaded = platform::load(options.directory);
  if (!loaded) {
    return refuse(loaded.error());
  }
  if (const auto written = platform::export_certificates(*loaded, options.out); !written) {
    return refuse(written.error());
  }
  return 0;
}

}  // namespace softsnp::cli
