#include <algorithm>

#include "attest/text.hpp"
#include "cli/option_parsers.hpp"
#include "cli/run_platform.hpp"

namespace softsnp::cli {
namespace {

std::optional<psp::ReportVersion> parse_version(const std::string& text) {
  for (const auto version :
       {psp::ReportVersion::v2, psp::ReportVersion::v3, psp::ReportVersion::v5}) {
    if (text == std::to_string(static_cast<u32>(version))) {
      return version;
    }
  }
  return std::nullopt;
}

std::optional<std::array<u8, 32>> parse_host_data(const std::string& text) {
  std::array<u8, 32> data{};
  const auto bytes = attest::parse_hex_bytes(text, data.size());
  if (!bytes) {
    return std::nullopt;
  }
  std::copy(bytes->begin(), bytes->end(), data.begin());
  return data;
}

}  // namespace

void add_platform_options(CLI::App& run, PlatformOptions& options) {
  run.add_option("--platform", options.platform,
                 "the run is the chip of this directory (softsnp platform init)")
      ->type_name("DIR");
  add(run, "--report-version", options.report_version, parse_version,
      "of attestation reports, default 3", "2|3|5");
  run.add_option("--reported-tcb", options.reported_tcb,
                 "SNP_CONFIG; default the platform's, else the committed one")
      ->type_name("bl=N,tee=N,snp=N,ucode=N[,fmc=N]");
  run.add_flag("--mask-chip-id", options.mask_chip_id, "SNP_CONFIG: reports show no chip id");
  run.add_flag("--mask-chip-key", options.mask_chip_key, "SNP_CONFIG: the VCEK signs nothing");
  run.add_flag("--commit", options.commit, "SNP_COMMIT before that");
  run.add_flag("--vlek", options.vlek, "SNP_VLEK_LOAD: the platform's VLEK signs reports");
  add(run, "--host-data", options.host_data, parse_host_data, "in reports",
      "64 hexadecimal digits");
  run.add_option("--id-block", options.id_block,
                 "the guest's ID block, as softsnp measure writes it")
      ->type_name("FILE");
  run.add_option("--id-auth", options.id_auth, "its authentication information")->type_name("FILE");
  run.add_flag("--vcek-disabled", options.vcek_disabled,
               "no report or key of this guest's by VCEK");
}

std::optional<std::string> complete(const PlatformOptions& o, bool snp) {
  const bool of_snp_guest = o.commit || !o.reported_tcb.empty() || o.mask_chip_id ||
                            o.mask_chip_key || o.vlek || o.host_data || !o.id_block.empty() ||
                            o.vcek_disabled;
  if (o.id_block.empty() != o.id_auth.empty()) {
    return "--id-block and --id-auth need each other";
  }
  if (o.vlek && o.platform.empty()) {
    return "--vlek needs --platform";
  }
  if (of_snp_guest && !snp) {
    return "--commit, --reported-tcb, --mask-chip-id, --mask-chip-key, --vlek, --host-data, "
           "--id-block and --vcek-disabled need --mode snp";
  }
  return std::nullopt;
}

}  // namespace softsnp::cli
