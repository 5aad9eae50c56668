// The command line of softsnp measure: names as in sev-snp-measure.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "arch/psp/page_info.hpp"
#include "cli/guest_files.hpp"

namespace CLI {
class App;
}

namespace softsnp::cli {

enum class MeasureMode : u8 { snp, svsm, sev_es, sev };
// softsnp: softsnp run, which starts the kernel itself.
enum class Launcher : u8 { unsaid, softsnp, qemu, ec2, gce };

struct MeasureOptions : GuestOptions {
  MeasureMode mode = MeasureMode::snp;
  Launcher launcher = Launcher::unsaid;
  std::string ovmf;
  std::string svsm_file;
  std::optional<u64> variables_size;
  std::optional<psp::Digest> ovmf_digest;
  u32 vcpus = 1;
  std::optional<u32> signature;
  std::optional<u64> family, model, stepping;  // instead of the signature
  std::optional<u64> features;
  bool base64 = false;

  std::string id_key, author_key;         // to sign with
  std::string id_block_out, id_auth_out;  // to write
  std::array<u8, 16> family_id{}, image_id{};
  u32 guest_svn = 0;
  u64 policy = 0x30000;
};

// Fills options while app is parsed; both must stay.
void add_measure_options(CLI::App& app, MeasureOptions& options);

// After parsing: what was only implied is filled in. One line if the options contradict each other.
std::optional<std::string> complete(MeasureOptions& options);

}  // namespace softsnp::cli
