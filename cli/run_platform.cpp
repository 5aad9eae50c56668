#include "cli/run_platform.hpp"

#include <fmt/format.h>

#include "arch/psp/id_block.hpp"
#include "arch/psp/status.hpp"
#include "base/bytes.hpp"
#include "cli/file.hpp"
#include "platform/certificate_table.hpp"
#include "platform/directory.hpp"
#include "platform/product.hpp"

namespace softsnp::cli {
namespace {

using Done = Result<void, std::string>;

// What the chip reports without being told: the committed TCB.
Result<psp::TcbComponents, std::string> reported_tcb(const PlatformOptions& options,
                                                     psp::Product product,
                                                     const psp::TcbComponents& otherwise) {
  if (options.reported_tcb.empty()) {
    return otherwise;
  }
  auto parsed = platform::parse_tcb(options.reported_tcb, product);
  if (!parsed) {
    return Failure{"--reported-tcb: " + parsed.error()};
  }
  return parsed;
}

psp::SnpConfig snp_config(const PlatformOptions& options, const psp::TcbVersion& reported) {
  psp::SnpConfig config{};
  config.reported_tcb = reported;
  config.flags = (options.mask_chip_id ? psp::SnpConfig::mask_chip_id : 0) |
                 (options.mask_chip_key ? psp::SnpConfig::mask_chip_key : 0);
  return config;
}

// From the seed. SNP_CONFIG reads a TCB of zero as the committed one.
Done take_seeds_chip(const PlatformOptions& options, RunPlatform& run) {
  const auto reported = reported_tcb(options, run.product, {});
  if (!reported) {
    return Failure{reported.error()};
  }
  if (!options.reported_tcb.empty() || options.mask_chip_id || options.mask_chip_key) {
    run.config = snp_config(options, psp::encode_tcb(run.product, *reported));
  }
  return {};
}

Done take_platform(const PlatformOptions& options, std::optional<psp::Product> said,
                   RunPlatform& run) {
  const auto chip = platform::load(options.platform);
  if (!chip) {
    return Failure{chip.error()};
  }
  const platform::Settings& settings = chip->settings;
  if (said && *said != settings.product) {
    return Failure{fmt::format("--product: the platform {} is a {}", options.platform,
                               platform::product_name(settings.product))};
  }
  const auto reported = reported_tcb(options, settings.product, settings.reported_tcb);
  if (!reported) {
    return Failure{reported.error()};
  }
  run.product = settings.product;
  run.identity = platform::identity(*chip);
  const psp::TcbComponents& before =
      options.commit ? settings.tcb : settings.committed_tcb;  // what firmware reports untold
  if (*reported != before || options.commit || options.mask_chip_id || options.mask_chip_key) {
    run.config = snp_config(options, psp::encode_tcb(settings.product, *reported));
  }
  if (options.vlek) {
    run.vlek = platform::wrapped_vlek(*chip, *reported);
  }
  const auto leaf = options.vlek ? platform::Leaf::vlek : platform::Leaf::vcek;
  run.certificate_table = platform::certificate_table(*chip, leaf, *reported);
  return {};
}

Result<std::vector<u8>, std::string> read_exactly(const std::string& path, usize bytes,
                                                  const char* what) {
  auto read = read_file(path, bytes, Empty::allowed);
  if (read && read->size() == bytes) {
    return read;
  }
  if (read || read.error().find("larger") != std::string::npos) {
    return Failure{fmt::format("{}: expected the {} bytes of {}", path, bytes, what)};
  }
  return Failure{read.error()};
}

Done take_finish(const PlatformOptions& options, kvm::LaunchFinish& finish) {
  finish.host_data = options.host_data.value_or(finish.host_data);
  finish.vcek_disabled = options.vcek_disabled;
  if (options.id_block.empty()) {
    return {};
  }
  auto block = read_exactly(options.id_block, sizeof(psp::IdBlock), "an ID block");
  if (!block) {
    return Failure{block.error()};
  }
  auto auth = read_exactly(options.id_auth, sizeof(psp::IdAuth), "ID authentication information");
  if (!auth) {
    return Failure{auth.error()};
  }
  // Tools leave the algorithm zero when there is no author key.
  finish.auth_key_enabled = load_le<psp::IdAuth>(auth->data()).author_key_algorithm != 0;
  finish.id_block = std::move(*block);
  finish.id_auth = std::move(*auth);
  return {};
}

Done explain(const char* command, const Result<void, kvm::Error>& result) {
  if (result) {
    return {};
  }
  const kvm::Error& error = result.error();
  return Failure{fmt::format("{}: {} (firmware status {:#x} {})", command, error.what,
                             error.firmware, psp::name(static_cast<psp::Status>(error.firmware)))};
}

}  // namespace

Result<RunPlatform, std::string> make_run_platform(const PlatformOptions& options,
                                                   std::optional<psp::Product> product) {
  RunPlatform run;
  run.product = product.value_or(run.product);
  const Done chip = options.platform.empty() ? take_seeds_chip(options, run)
                                             : take_platform(options, product, run);
  if (!chip) {
    return Failure{chip.error()};
  }
  run.identity.report_version = options.report_version;
  run.commit = options.commit;
  if (const Done finish = take_finish(options, run.finish); !finish) {
    return Failure{finish.error()};
  }
  return std::move(run);
}

Result<void, std::string> tell_firmware(kvm::Kvm& kvm, const RunPlatform& platform) {
  if (platform.commit) {
    if (auto done = explain("--commit", kvm.snp_commit()); !done) {
      return done;
    }
  }
  if (platform.config) {
    if (auto done = explain("--reported-tcb", kvm.snp_set_config(*platform.config)); !done) {
      return done;
    }
  }
  return platform.vlek ? explain("--vlek", kvm.snp_vlek_load(*platform.vlek)) : Done();
}

}  // namespace softsnp::cli
