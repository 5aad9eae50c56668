// What a relying party demands of a report beyond its signature, as its JSON file says it.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/psp/page_info.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

namespace softsnp::attest {

using ByteString = std::vector<u8>;

// Lowest acceptable security version numbers; fmc is Turin's.
struct TcbMinimum {
  std::optional<u8> fmc, boot_loader, tee, snp, microcode;
};

struct FirmwareMinimum {
  u8 major = 0, minor = 0, build = 0;
};

struct PlatformBit {
  std::string name;
  u64 mask = 0;
  bool expected = false;
};

// The defaults are what holds without a file. An empty list or optional demands nothing.
struct ReportPolicy {
  std::vector<ByteString> measurement, host_data, report_data;
  std::vector<ByteString> id_key_digests, author_key_digests, image_id, family_id, chip_ids;
  TcbMinimum minimum_tcb;         // of REPORTED_TCB
  TcbMinimum minimum_launch_tcb;  // of LAUNCH_TCB
  std::optional<FirmwareMinimum> minimum_firmware;
  std::optional<u32> minimum_guest_svn;
  std::vector<u32> vmpl;
  std::optional<u32> maximum_vmpl;
  u64 guest_policy_required = 0;   // bits of POLICY
  u64 guest_policy_forbidden = 0;  // likewise
  std::vector<PlatformBit> platform_info;
  bool allow_debug = false;
  bool allow_migration_agent = false;
  bool allow_smt = true;
  bool require_single_socket = false;
  bool allow_provisional_firmware = false;
};

// Strict: unknown or repeated keys and values of another kind are errors, one line each.
Result<ReportPolicy, std::string> read_report_policy(const std::string& name,
                                                     std::span<const u8> file);

}  // namespace softsnp::attest
