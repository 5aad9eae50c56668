// The relying party's demands.
#include <fmt/format.h>

#include <algorithm>

#include "arch/psp/policy.hpp"
#include "attest/text.hpp"
#include "attest/verify.hpp"
#include "base/bits.hpp"

namespace softsnp::attest {
namespace {

using psp::AttestationReport;
using Problems = std::vector<std::string>;

std::string key_name(const char* key) {
  return std::string("policy.") + key;
}

void check_bytes(Verdict& verdict, const char* key, const char* field, std::span<const u8> value,
                 const std::vector<ByteString>& allowed) {
  if (allowed.empty()) {
    return;
  }
  const bool found = std::any_of(allowed.begin(), allowed.end(), [&](const ByteString& one) {
    return std::equal(one.begin(), one.end(), value.begin(), value.end());
  });
  if (found) {
    verdict.pass(key_name(key), fmt::format("{} is as wanted", field));
  } else {
    verdict.fail(key_name(key), fmt::format("{} is {}, wanted {}{}", field, hex_text(value),
                                            allowed.size() == 1 ? "" : "one of several, first ",
                                            hex_text(allowed[0])));
  }
}

void check_flag(Verdict& verdict, const char* key, bool bad, const char* problem,
                const char* good) {
  if (bad) {
    verdict.fail(key_name(key), problem);
  } else {
    verdict.pass(key_name(key), good);
  }
}

void compare(Problems& problems, const char* component, u8 value, std::optional<u8> minimum) {
  if (minimum && value < *minimum) {
    problems.push_back(fmt::format("{} is {}, wanted at least {}", component, value, *minimum));
  }
}

bool is_empty(const TcbMinimum& minimum) {
  return !minimum.fmc && !minimum.boot_loader && !minimum.tee && !minimum.snp && !minimum.microcode;
}

void check_tcb(Verdict& verdict, const char* key, TcbLayout layout, const psp::TcbVersion& tcb,
               const TcbMinimum& minimum) {
  if (is_empty(minimum)) {
    return;
  }
  if (layout == TcbLayout::unknown) {
    verdict.fail(key_name(key), "of which product the TCB is, is not known");
    return;
  }
  const bool turin = layout == TcbLayout::turin;
  const auto parts = psp::decode_tcb(turin ? psp::Product::turin : psp::Product::genoa, tcb);
  Problems problems;
  compare(problems, "FMC", parts.fmc, turin ? minimum.fmc : std::nullopt);
  compare(problems, "boot loader", parts.boot_loader, minimum.boot_loader);
  compare(problems, "TEE", parts.tee, minimum.tee);
  compare(problems, "SNP", parts.snp, minimum.snp);
  compare(problems, "microcode", parts.microcode, minimum.microcode);
  verdict.judge(key_name(key), problems, "no component is below the minimum");
}

constexpr u32 order(u8 major, u8 minor, u8 build) {
  return u32{major} << 16 | u32{minor} << 8 | build;
}

void check_firmware(Verdict& verdict, const AttestationReport& report, const ReportPolicy& policy) {
  if (!policy.minimum_firmware) {
    return;
  }
  const FirmwareMinimum& wanted = *policy.minimum_firmware;
  Problems problems;
  const auto compare_one = [&](const char* which, const psp::ReportedFirmware& firmware) {
    if (order(firmware.major, firmware.minor, firmware.build) <
        order(wanted.major, wanted.minor, wanted.build)) {
      problems.push_back(fmt::format("the {} firmware is {}.{}.{}, wanted at least {}.{}.{}", which,
                                     firmware.major, firmware.minor, firmware.build, wanted.major,
                                     wanted.minor, wanted.build));
    }
  };
  compare_one("current", report.current);
  compare_one("committed", report.committed);
  verdict.judge(key_name("minimum_firmware"), problems, "current and committed are not below");
}

void check_provisional(Verdict& verdict, const AttestationReport& report,
                       const ReportPolicy& policy) {
  if (policy.allow_provisional_firmware) {
    return;
  }
  const auto number = [](const psp::ReportedFirmware& firmware) {
    return order(firmware.major, firmware.minor, firmware.build);
  };
  Problems problems;
  if (!(report.committed_tcb == report.current_tcb)) {
    problems.emplace_back("COMMITTED_TCB is not CURRENT_TCB");
  }
  if (number(report.committed) != number(report.current)) {
    problems.emplace_back("the committed firmware version is not the current one");
  }
  if (!problems.empty()) {
    problems.emplace_back("the firmware can still be rolled back");
  }
  verdict.judge(key_name("allow_provisional_firmware"), problems, "the firmware is committed");
}

void check_vmpl(Verdict& verdict, const AttestationReport& report, const ReportPolicy& policy) {
  const auto& allowed = policy.vmpl;
  if (!allowed.empty()) {
    const bool found = std::find(allowed.begin(), allowed.end(), report.vmpl) != allowed.end();
    verdict.judge(key_name("vmpl"),
                  found ? Problems{}
                        : Problems{fmt::format("VMPL is {}, wanted {}", report.vmpl,
                                               fmt::join(allowed, " or "))},
                  fmt::format("VMPL {}", report.vmpl));
  }
  if (policy.maximum_vmpl) {
    verdict.judge(key_name("maximum_vmpl"),
                  report.vmpl <= *policy.maximum_vmpl
                      ? Problems{}
                      : Problems{fmt::format("VMPL is {}, wanted at most {}", report.vmpl,
                                             *policy.maximum_vmpl)},
                  fmt::format("VMPL {}", report.vmpl));
  }
}

void check_guest_svn(Verdict& verdict, const AttestationReport& report,
                     const ReportPolicy& policy) {
  if (!policy.minimum_guest_svn) {
    return;
  }
  Problems problems;
  if (report.guest_svn < *policy.minimum_guest_svn) {
    problems.push_back(fmt::format("GUEST_SVN is {}, wanted at least {}", report.guest_svn,
                                   *policy.minimum_guest_svn));
  }
  verdict.judge(key_name("minimum_guest_svn"), problems, "not below the minimum");
}

void check_guest_policy(Verdict& verdict, const AttestationReport& report,
                        const ReportPolicy& policy) {
  using namespace psp::policy;
  const u64 value = report.policy;
  if (!policy.allow_debug) {
    check_flag(verdict, "allow_debug", (value & debug) != 0,
               "POLICY allows the host to read the guest (DEBUG)", "no debugging");
  }
  if (!policy.allow_migration_agent) {
    const auto* const agent = report.report_id_ma;
    const bool has_agent =
        std::any_of(agent, agent + sizeof report.report_id_ma, [](u8 b) { return b != 0xFF; });
    check_flag(verdict, "allow_migration_agent", (value & migrate_ma) != 0 || has_agent,
               "POLICY allows a migration agent, or REPORT_ID_MA names one", "no migration agent");
  }
  if (!policy.allow_smt) {
    check_flag(verdict, "allow_smt", (value & smt) != 0, "POLICY allows SMT", "no SMT");
  }
  if (policy.require_single_socket) {
    check_flag(verdict, "require_single_socket", (value & single_socket) == 0,
               "POLICY allows more than one socket", "one socket");
  }
  if (const u64 wanted = policy.guest_policy_required; wanted != 0) {
    verdict.judge(key_name("guest_policy_required"),
                  (value & wanted) == wanted ? Problems{}
                                             : Problems{fmt::format("POLICY {:#x} lacks bits {:#x}",
                                                                    value, wanted & ~value)},
                  "all set");
  }
  if (const u64 unwanted = policy.guest_policy_forbidden; unwanted != 0) {
    verdict.judge(key_name("guest_policy_forbidden"),
                  (value & unwanted) == 0 ? Problems{}
                                          : Problems{fmt::format("POLICY {:#x} has bits {:#x}",
                                                                 value, value & unwanted)},
                  "none set");
  }
}

void check_platform(Verdict& verdict, const AttestationReport& report, const ReportPolicy& policy) {
  if (policy.platform_info.empty()) {
    return;
  }
  Problems problems;
  for (const PlatformBit& bit : policy.platform_info) {
    const bool set = (report.platform_info & bit.mask) != 0;
    if (set != bit.expected) {
      problems.push_back(
          fmt::format("{} is {}, wanted {}", bit.name, set ? 1 : 0, bit.expected ? 1 : 0));
    }
  }
  verdict.judge(key_name("platform_info"), problems, "PLATFORM_INFO is as wanted");
}

}  // namespace

void check_policy(Verdict& verdict, const AttestationReport& report, const ReportPolicy& policy,
                  TcbLayout layout) {
  const ReportPolicy& p = policy;
  check_bytes(verdict, "measurement", "MEASUREMENT", report.measurement.bytes, p.measurement);
  check_bytes(verdict, "host_data", "HOST_DATA", report.host_data, p.host_data);
  check_bytes(verdict, "report_data", "REPORT_DATA", report.report_data, p.report_data);
  check_bytes(verdict, "id_key_digests", "ID_KEY_DIGEST", report.id_key_digest.bytes,
              p.id_key_digests);
  check_bytes(verdict, "author_key_digests", "AUTHOR_KEY_DIGEST", report.author_key_digest.bytes,
              p.author_key_digests);
  check_bytes(verdict, "image_id", "IMAGE_ID", report.image_id, p.image_id);
  check_bytes(verdict, "family_id", "FAMILY_ID", report.family_id, p.family_id);
  check_bytes(verdict, "chip_ids", "CHIP_ID", report.chip_id, p.chip_ids);
  check_tcb(verdict, "minimum_tcb", layout, report.reported_tcb, p.minimum_tcb);
  check_tcb(verdict, "minimum_launch_tcb", layout, report.launch_tcb, p.minimum_launch_tcb);
  check_firmware(verdict, report, p);
  check_provisional(verdict, report, p);
  check_guest_svn(verdict, report, p);
  check_vmpl(verdict, report, p);
  check_guest_policy(verdict, report, p);
  check_platform(verdict, report, p);
}

}  // namespace softsnp::attest
