#include "cli/measure_options.hpp"

#include <algorithm>
#include <cctype>

#include "arch/snp/features.hpp"
#include "attest/reset_state.hpp"
#include "attest/text.hpp"
#include "cli/numbers.hpp"
#include "cli/option_parsers.hpp"

namespace softsnp::cli {
namespace {

std::optional<MeasureMode> parse_mode(const std::string& text) {
  if (text == "snp") {
    return MeasureMode::snp;
  }
  if (text == "snp:svsm") {
    return MeasureMode::svsm;
  }
  if (text == "seves") {
    return MeasureMode::sev_es;
  }
  return text == "sev" ? std::optional(MeasureMode::sev) : std::nullopt;
}

// sev-snp-measure writes QEMU.
std::optional<Launcher> parse_launcher(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  if (text == "softsnp") {
    return Launcher::softsnp;
  }
  if (text == "qemu") {
    return Launcher::qemu;
  }
  if (text == "ec2") {
    return Launcher::ec2;
  }
  return text == "gce" ? std::optional(Launcher::gce) : std::nullopt;
}

std::optional<bool> parse_format(const std::string& text) {
  return text == "hex" || text == "base64" ? std::optional(text == "base64") : std::nullopt;
}

std::optional<u32> parse_u32(const std::string& text) {
  const auto value = parse_number(text);
  return value && *value <= 0xFFFFFFFF ? std::optional(static_cast<u32>(*value)) : std::nullopt;
}

std::optional<u32> parse_count(const std::string& text) {
  const auto value = parse_u32(text);
  return value && *value != 0 ? value : std::nullopt;
}

std::optional<std::array<u8, 16>> parse_id(const std::string& text) {
  std::array<u8, 16> id{};
  const auto bytes = attest::parse_hex_bytes(text, id.size());
  if (!bytes) {
    return std::nullopt;
  }
  std::copy(bytes->begin(), bytes->end(), id.begin());
  return id;
}

std::optional<psp::Digest> parse_digest(const std::string& text) {
  psp::Digest digest;
  const auto bytes = attest::parse_hex_bytes(text, sizeof digest.bytes);
  if (!bytes) {
    return std::nullopt;
  }
  std::copy(bytes->begin(), bytes->end(), digest.bytes);
  return digest;
}

void add_guest(CLI::App& app, MeasureOptions& options) {
  add(app, "--mode", options.mode, parse_mode, "what protects the guest, default snp",
      "snp|snp:svsm|seves|sev");
  app.add_option("--kernel", options.kernel,
                 "kernel; without it and without --ovmf the built-in sample guest")
      ->type_name("FILE");
  app.add_option("--initrd", options.initrd, "initial RAM disk")->type_name("FILE");
  app.add_option("--append", options.append, "kernel command line")->type_name("STRING");
  add(app, "-m,--memory", options.memory, parse_size,
      "guest memory, default 512M; counts without --ovmf only", "SIZE such as 512M or 4G");
  add(app, "--accept", options.acceptance, parse_acceptance,
      "as for softsnp run; counts without --ovmf only", "lazy|eager");
  app.add_flag("--svsm-boot", options.svsm,
               "under the built-in SVSM, as softsnp run --svsm; counts without --ovmf only");
  add(app, "--product", options.product, parse_product,
      "the processor; accepted as by softsnp run, does not change the digest", "milan|genoa|turin");
}

void add_firmware(CLI::App& app, MeasureOptions& options) {
  app.add_option("--ovmf", options.ovmf, "the guest starts with this OVMF image")
      ->type_name("FILE");
  app.add_option("--svsm", options.svsm_file, "SVSM image below the OVMF image (mode snp:svsm)")
      ->type_name("FILE");
  add(app, "--vars-size", options.variables_size, parse_number,
      "size of OVMF's variables, which lie between OVMF and SVSM", "BYTES");
  add(app, "--snp-ovmf-hash", options.ovmf_digest, parse_digest,
      "digest of the OVMF pages alone, used instead of them", "96 hexadecimal digits");
  add(app, "--vmm-type", options.launcher, parse_launcher,
      "who launches the guest; default softsnp without, qemu with --ovmf", "softsnp|qemu|ec2|gce");
}

void add_vcpus(CLI::App& app, MeasureOptions& options) {
  add(app, "--vcpus", options.vcpus, parse_count, "number of vCPUs, default 1", "NUMBER from 1");
  const auto by_name = [](const std::string& text) { return attest::cpu_signature(text); };
  auto* const type = add(app, "--vcpu-type", options.signature, by_name, "QEMU's CPU model",
                         "a model such as EPYC-v4 or EPYC-Milan");
  auto* const signature = add(app, "--vcpu-sig", options.signature, parse_u32,
                              "the vCPU's CPUID 1 EAX instead of --vcpu-type", "NUMBER");
  type->excludes(signature);
  auto* const family = add(
      app, "--vcpu-family", options.family, parse_number,
      "the same from the numbers of /proc/cpuinfo: with --vcpu-model, --vcpu-stepping", "NUMBER");
  family->excludes(type)->excludes(signature);
  add(app, "--vcpu-model", options.model, parse_number, "goes with --vcpu-family", "NUMBER");
  add(app, "--vcpu-stepping", options.stepping, parse_number, "goes with --vcpu-family", "NUMBER");
  add(app, "--guest-features", options.features, parse_number,
      "SEV_FEATURES in the VMSA, default 1 (mode snp)", "NUMBER");
  add(app, "--output-format", options.base64, parse_format, "default hex", "hex|base64");
}

void add_id_block(CLI::App& app, MeasureOptions& options) {
  app.add_option("--id-key", options.id_key,
                 "signs an ID block for the digest: private P-384 key in PEM")
      ->type_name("FILE");
  app.add_option("--author-key", options.author_key, "signs the ID key: likewise")
      ->type_name("FILE");
  app.add_option("--id-block", options.id_block_out, "where the ID block goes (96 bytes)")
      ->type_name("FILE");
  app.add_option("--id-auth", options.id_auth_out,
                 "where the ID authentication information goes (4096 bytes)")
      ->type_name("FILE");
  add(app, "--family-id", options.family_id, parse_id, "in the ID block", "32 hexadecimal digits");
  add(app, "--image-id", options.image_id, parse_id, "in the ID block", "32 hexadecimal digits");
  add(app, "--guest-svn", options.guest_svn, parse_u32, "in the ID block, default 0", "NUMBER");
  add(app, "--policy", options.policy, parse_hex, "in the ID block, default 30000", "HEX");
}

struct Rule {
  bool broken;
  const char* text;
};

std::optional<std::string> first_broken(std::initializer_list<Rule> rules) {
  for (const Rule& rule : rules) {
    if (rule.broken) {
      return rule.text;
    }
  }
  return std::nullopt;
}

bool is_launchable(u64 features) {
  return features == snp::launch_features(snp::InjectionMode::normal) ||
         features == snp::launch_features(snp::InjectionMode::restricted);
}

std::optional<std::string> direct_problem(const MeasureOptions& o) {
  return first_broken({
      {!o.svsm_file.empty(), "--svsm needs --ovmf (softsnp run --svsm is --svsm-boot here)"},
      {o.mode != MeasureMode::snp, "--mode other than snp needs --ovmf"},
      {o.launcher != Launcher::softsnp, "--vmm-type other than softsnp needs --ovmf"},
      {o.variables_size.has_value(), "--vars-size needs --svsm"},
      {o.ovmf_digest.has_value(), "--snp-ovmf-hash needs --ovmf"},
      {o.signature.has_value(), "--vcpu-type, --vcpu-sig and --vcpu-family need --ovmf"},
      {o.features && !is_launchable(*o.features),
       "--guest-features: softsnp run launches 1 (SNPActive) and 9 (with RestrictedInjection) "
       "only"},
      {o.kernel.empty() && !o.initrd.empty(), "--initrd needs --kernel"},
      {o.kernel.empty() && o.acceptance == image::Acceptance::lazy, "--accept lazy needs --kernel"},
  });
}

std::optional<std::string> firmware_problem(const MeasureOptions& o) {
  const bool svsm = o.mode == MeasureMode::svsm;
  const bool qemu = o.launcher == Launcher::qemu;
  return first_broken({
      {o.launcher == Launcher::softsnp, "--vmm-type softsnp does not go with --ovmf"},
      {o.acceptance == image::Acceptance::lazy, "--accept lazy does not go with --ovmf"},
      {o.svsm, "--svsm-boot does not go with --ovmf"},
      {svsm != !o.svsm_file.empty(), "--svsm and --mode snp:svsm need each other"},
      {svsm && !qemu, "--mode snp:svsm is known for --vmm-type qemu only"},
      {svsm && !o.kernel.empty(), "--kernel: an SVSM image does not measure a kernel"},
      {!svsm && o.variables_size.has_value(), "--vars-size needs --svsm"},
      {o.mode != MeasureMode::snp && o.ovmf_digest.has_value(), "--snp-ovmf-hash needs --mode snp"},
      {o.mode != MeasureMode::snp && o.features.has_value(), "--guest-features needs --mode snp"},
      {o.mode != MeasureMode::sev && qemu && !o.signature.has_value(),
       "--vcpu-type, --vcpu-sig or --vcpu-family is missing"},
      {o.kernel.empty() && !o.initrd.empty(), "--initrd needs --kernel"},
      {o.kernel.empty() && !o.append.empty(), "--append needs --kernel"},
  });
}

std::optional<std::string> id_block_problem(const MeasureOptions& o) {
  const bool snp = o.mode == MeasureMode::snp || o.mode == MeasureMode::svsm;
  const bool wanted = !o.id_key.empty();
  return first_broken({
      {wanted && !snp, "--id-key needs --mode snp"},
      {!wanted && !o.author_key.empty(), "--author-key needs --id-key"},
      {!wanted && !(o.id_block_out.empty() && o.id_auth_out.empty()),
       "--id-block and --id-auth need --id-key"},
      {wanted && (o.id_block_out.empty() || o.id_auth_out.empty()),
       "--id-key needs --id-block and --id-auth to write to"},
  });
}

// The three numbers become a signature.
std::optional<std::string> complete_signature(MeasureOptions& o) {
  const bool all = o.family && o.model && o.stepping;
  if (!all) {
    return o.family || o.model || o.stepping
               ? std::optional<std::string>(
                     "--vcpu-family, --vcpu-model and --vcpu-stepping need each other")
               : std::nullopt;
  }
  o.signature = attest::cpu_signature(*o.family, *o.model, *o.stepping);
  return o.signature ? std::nullopt
                     : std::optional<std::string>(
                           "--vcpu-family, --vcpu-model, --vcpu-stepping: at most 270, 255 and 15");
}

}  // namespace

void add_measure_options(CLI::App& app, MeasureOptions& options) {
  add_guest(app, options);
  add_firmware(app, options);
  add_vcpus(app, options);
  add_id_block(app, options);
}

std::optional<std::string> complete(MeasureOptions& options) {
  if (options.mode == MeasureMode::snp && !options.svsm_file.empty()) {
    options.mode = MeasureMode::svsm;
  }
  if (auto problem = complete_signature(options)) {
    return problem;
  }
  const bool direct = options.ovmf.empty();
  if (options.launcher == Launcher::unsaid) {
    options.launcher = direct ? Launcher::softsnp : Launcher::qemu;
  }
  auto problem = direct ? direct_problem(options) : firmware_problem(options);
  return problem ? problem : id_block_problem(options);
}

}  // namespace softsnp::cli
