// The chip that a run is, and what the host tells its firmware before the guest starts.
#pragma once

#include <CLI/CLI.hpp>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "machine/psp/config.hpp"

namespace softsnp::cli {

struct PlatformOptions {
  std::string platform;  // directory; empty: a chip that the seed makes
  psp::ReportVersion report_version = psp::ReportVersion::v3;
  // SNP_COMMIT, SNP_CONFIG, SNP_VLEK_LOAD.
  bool commit = false;
  std::string reported_tcb;  // as text; empty: the platform's
  bool mask_chip_id = false;
  bool mask_chip_key = false;
  bool vlek = false;
  // SNP_LAUNCH_FINISH.
  std::optional<std::array<u8, 32>> host_data;
  std::string id_block;  // files
  std::string id_auth;
  bool vcek_disabled = false;
};

void add_platform_options(CLI::App& run, PlatformOptions& options);
// One line about options that do not go together.
std::optional<std::string> complete(const PlatformOptions& options, bool snp);

struct RunPlatform {
  psp::Product product = psp::Product::genoa;
  psp::ProcessorIdentity identity;
  // In this order, each if there is one.
  bool commit = false;
  std::optional<psp::SnpConfig> config;
  std::optional<psp::WrappedVlek> vlek;
  kvm::LaunchFinish finish;
  std::vector<u8> certificate_table;  // empty without a platform directory
};

// product: as said on the command line, if it was. One line about files and values.
Result<RunPlatform, std::string> make_run_platform(const PlatformOptions& options,
                                                   std::optional<psp::Product> product);

// The error's text says which command and names the firmware's status.
Result<void, std::string> tell_firmware(kvm::Kvm& kvm, const RunPlatform& platform);

}  // namespace softsnp::cli
