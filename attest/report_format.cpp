// What of a report must be zero. Firmware sheet 1.7, 5.1 to 5.3.
#include <fmt/format.h>

#include "arch/psp/policy.hpp"
#include "attest/report.hpp"
#include "base/bits.hpp"
#include "base/bytes.hpp"

namespace softsnp::attest {
namespace {

using psp::AttestationReport;

struct Range {
  usize first, end;
  u32 below_version;  // reserved in versions below this one
};
constexpr u32 always = ~u32{0};
constexpr Range reserved[] = {
    {0x04C, 0x050, always},
    {0x188, 0x18B, 3},
    {0x18B, 0x1A0, always},
    {0x1EB, 0x1EC, always},
    {0x1EF, 0x1F0, always},
    {0x1F8, 0x208, 5},
    {0x208, 0x2A0, always},
    {0x2A0 + 0x30, 0x2A0 + 0x48, always},  // R is 48 bytes in 72
    {0x2E8 + 0x30, 0x2E8 + 0x48, always},
    {0x330, 0x4A0, always},
};

constexpr u64 policy_reserved = mask_bits(63, 26);
constexpr u64 platform_info_known = mask_bits(5, 0) | psp::platform_info::tio_en;
constexpr u32 signer_info_known = 0x1F;

void require_zero_bits(std::vector<std::string>& problems, const char* field, u64 bits) {
  for (unsigned n = 0; n < 64; ++n) {
    if (has_bit(bits, n)) {
      problems.push_back(fmt::format("{} bit {}: reserved, expected 0", field, n));
    }
  }
}

// Bytes of a TCB_VERSION that no component uses.
void check_tcb(std::vector<std::string>& problems, const char* field, const psp::TcbVersion& tcb,
               TcbLayout layout) {
  if (layout == TcbLayout::unknown) {
    return;
  }
  const bool turin = layout == TcbLayout::turin;
  for (unsigned n = turin ? 4 : 2; n < (turin ? 7u : 6u); ++n) {
    if (tcb.bytes[n] != 0) {
      problems.push_back(
          fmt::format("{} byte {}: reserved, expected 0, got {:#x}", field, n, tcb.bytes[n]));
    }
  }
}

void check_values(std::vector<std::string>& problems, const AttestationReport& report) {
  if (report.signature_algorithm != AttestationReport::algorithm_ecdsa_p384_sha384) {
    problems.push_back(
        fmt::format("SIGNATURE_ALGO: expected 1 (ECDSA P-384 with SHA-384), got {:#x}",
                    report.signature_algorithm));
  }
  if ((report.policy & psp::policy::reserved_one) == 0) {
    problems.emplace_back("POLICY bit 17: reserved, expected 1");
  }
  const u32 key = psp::signer_info::signing_key(report.signer_info);
  if (key != 0 && key != 1 && key != 7) {
    problems.push_back(fmt::format("SIGNING_KEY: expected 0 (VCEK), 1 (VLEK) or 7, got {}", key));
  }
}

}  // namespace

std::vector<std::string> format_problems(const AttestationReport& report) {
  std::vector<std::string> problems;
  check_values(problems, report);
  require_zero_bits(problems, "POLICY", report.policy & policy_reserved);
  require_zero_bits(problems, "PLATFORM_INFO", report.platform_info & ~platform_info_known);
  require_zero_bits(problems, "SIGNER_INFO", report.signer_info & ~signer_info_known);
  const TcbLayout layout = tcb_layout(report);
  check_tcb(problems, "CURRENT_TCB", report.current_tcb, layout);
  check_tcb(problems, "REPORTED_TCB", report.reported_tcb, layout);
  check_tcb(problems, "COMMITTED_TCB", report.committed_tcb, layout);
  check_tcb(problems, "LAUNCH_TCB", report.launch_tcb, layout);
  const auto* const bytes = reinterpret_cast<const u8*>(&report);
  for (const Range& range : reserved) {
    if (report.version >= range.below_version) {
      continue;
    }
    for (usize at = range.first; at < range.end; ++at) {
      if (bytes[at] != 0) {
        problems.push_back(
            fmt::format("byte {:03X}: reserved, expected 0, got {:#x}", at, bytes[at]));
      }
    }
  }
  return problems;
}

}  // namespace softsnp::attest
