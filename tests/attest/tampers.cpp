#include "tests/attest/tampers.hpp"

#include <fmt/format.h>

#include "arch/psp/policy.hpp"
#include "attest/text.hpp"
#include "attest/verify.hpp"
#include "base/bytes.hpp"

namespace softsnp::attest::test {
namespace {

using psp::AttestationReport;

std::span<const u8> as_bytes(const std::string& text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

std::string minimum_tcb(const AttestationReport& report, const psp::TcbVersion& tcb) {
  const auto product = product_of(report).value_or(psp::Product::milan);
  const auto parts = psp::decode_tcb(product, tcb);
  return fmt::format(R"({{"fmc": {}, "boot_loader": {}, "tee": {}, "snp": {}, "microcode": {}}})",
                     parts.fmc, parts.boot_loader, parts.tee, parts.snp, parts.microcode);
}

std::vector<FieldTamper> identity_tampers() {
  using R = AttestationReport;
  return {
      {"GUEST_SVN", [](R& r) { ++r.guest_svn; }, {}, ""},
      {"POLICY: debug on",
       [](R& r) { r.policy |= psp::policy::debug; },
       {"policy.allow_debug"},
       "DEBUG"},
      {"POLICY: migration agent",
       [](R& r) { r.policy |= psp::policy::migrate_ma; },
       {"policy.allow_migration_agent"},
       "migration agent"},
      {"POLICY: bit 17",
       [](R& r) { r.policy &= ~psp::policy::reserved_one; },
       {"format"},
       "POLICY bit 17"},
      {"POLICY: unknown bit", [](R& r) { r.policy |= u64{1} << 63; }, {"format"}, "POLICY bit 63"},
      {"FAMILY_ID", [](R& r) { r.family_id[0] ^= 1; }, {"policy.family_id"}, "FAMILY_ID is"},
      {"IMAGE_ID", [](R& r) { r.image_id[15] ^= 1; }, {"policy.image_id"}, "IMAGE_ID is"},
      {"VMPL", [](R& r) { r.vmpl = (r.vmpl + 1) & 3; }, {"policy.vmpl"}, "VMPL is"},
      {"SIGNATURE_ALGO", [](R& r) { r.signature_algorithm = 2; }, {"format"}, "SIGNATURE_ALGO"},
  };
}

std::vector<FieldTamper> platform_tampers() {
  using R = AttestationReport;
  return {
      {"CURRENT_TCB lowered",
       [](R& r) { --r.current_tcb.bytes[7]; },
       {"tcb_order", "policy.allow_provisional_firmware"},
       ""},
      {"PLATFORM_INFO: other",
       [](R& r) { r.platform_info ^= psp::platform_info::tsme_en; },
       {"policy.platform_info"},
       "tsme_en is"},
      {"PLATFORM_INFO: unknown bit",
       [](R& r) { r.platform_info |= 0x40; },
       {"format"},
       "PLATFORM_INFO bit 6"},
      {"SIGNER_INFO: AUTHOR_KEY_EN",
       [](R& r) { r.signer_info ^= psp::signer_info::author_key_en; },
       {},
       ""},
      {"SIGNER_INFO: the other kind of key",
       [](R& r) { r.signer_info ^= psp::signer_info::with_key(psp::SigningKey::vlek); },
       {"signing_key"},
       "the certificate is a"},
      {"SIGNER_INFO: not signed",
       [](R& r) { r.signer_info |= psp::signer_info::with_key(psp::SigningKey::none); },
       {"signing_key"},
       "not signed"},
      {"SIGNER_INFO: unknown bit",
       [](R& r) { r.signer_info |= 0x80; },
       {"format"},
       "SIGNER_INFO bit 7"},
      {"byte 04C", [](R& r) { r.reserved_04c = 1; }, {"format"}, "byte 04C"},
  };
}

std::vector<FieldTamper> guest_tampers() {
  using R = AttestationReport;
  return {
      {"REPORT_DATA",
       [](R& r) { r.report_data[63] ^= 0x80; },
       {"policy.report_data"},
       "REPORT_DATA is"},
      {"MEASUREMENT",
       [](R& r) { r.measurement.bytes[0] ^= 1; },
       {"policy.measurement"},
       "MEASUREMENT is"},
      {"HOST_DATA", [](R& r) { r.host_data[31] ^= 1; }, {"policy.host_data"}, "HOST_DATA is"},
      {"ID_KEY_DIGEST",
       [](R& r) { r.id_key_digest.bytes[7] ^= 1; },
       {"policy.id_key_digests"},
       "ID_KEY_DIGEST is"},
      {"AUTHOR_KEY_DIGEST",
       [](R& r) { r.author_key_digest.bytes[47] ^= 1; },
       {"policy.author_key_digests"},
       "AUTHOR_KEY_DIGEST is"},
      {"REPORT_ID", [](R& r) { r.report_id[0] ^= 1; }, {}, ""},
      {"REPORT_ID_MA",
       [](R& r) { r.report_id_ma[0] ^= 1; },
       {"policy.allow_migration_agent"},
       "REPORT_ID_MA"},
  };
}

std::vector<FieldTamper> firmware_tampers() {
  using R = AttestationReport;
  return {
      {"REPORTED_TCB rolled back",
       [](R& r) { --r.reported_tcb.bytes[7]; },
       {"tcb", "policy.minimum_tcb"},
       "microcode"},
      {"CPUID model of another product",
       [](R& r) { r.cpuid_model = r.cpuid_model == 1 ? 0x11 : 1; },
       {"product"},
       "productName is"},
      {"CPUID of no product",
       [](R& r) { r.cpuid_model = 0x77; },
       {"product"},
       "none that is known"},
      {"CPUID stepping", [](R& r) { r.cpuid_stepping ^= 1; }, {}, ""},
      {"byte 18B", [](R& r) { r.reserved_18b[0] = 1; }, {"format"}, "byte 18B"},
      {"CHIP_ID", [](R& r) { r.chip_id[3] ^= 1; }, {"chip_id", "policy.chip_ids"}, "hwID is"},
      {"COMMITTED_TCB",
       [](R& r) { --r.committed_tcb.bytes[7]; },
       {"policy.allow_provisional_firmware"},
       "COMMITTED_TCB"},
      {"CURRENT_VERSION raised",
       [](R& r) { ++r.current.build; },
       {"policy.allow_provisional_firmware"},
       "rolled back"},
      {"firmware lowered",
       [](R& r) { --r.current.build, --r.committed.build; },
       {"policy.minimum_firmware"},
       "wanted at least"},
      {"LAUNCH_TCB lowered",
       [](R& r) { --r.launch_tcb.bytes[7]; },
       {"policy.minimum_launch_tcb"},
       "microcode"},
      {"byte 208", [](R& r) { r.reserved_208[0] = 1; }, {"format"}, "byte 208"},
      {"byte 29F", [](R& r) { r.reserved_208[0x97] = 0x80; }, {"format"}, "byte 29F"},
  };
}

std::vector<FieldTamper> signature_tampers() {
  using R = AttestationReport;
  return {
      {"signature R", [](R& r) { r.signature.r[0] ^= 1; }, {"signature"}, "does not verify", true},
      {"signature S", [](R& r) { r.signature.s[47] ^= 1; }, {"signature"}, "does not verify", true},
      {"signature zero", [](R& r) { r.signature = {}; }, {"signature"}, "does not verify", true},
      {"signature R too long",
       [](R& r) { r.signature.r[0x47] = 1; },
       {"format", "signature"},
       "byte 2E7",
       true},
      {"behind the signature",
       [](R& r) { r.signature.reserved[0x16F] = 1; },
       {"format"},
       "byte 49F",
       true},
  };
}

}  // namespace

AttestationReport fields_of(const std::vector<u8>& report) {
  return load_le<AttestationReport>(report.data());
}

std::vector<u8> bytes_of(const AttestationReport& report) {
  const auto* const bytes = reinterpret_cast<const u8*>(&report);
  return {bytes, bytes + sizeof report};
}

std::string exact_policy(const AttestationReport& r) {
  const auto info = [&r](u64 bit) { return (r.platform_info & bit) != 0; };
  namespace bits = psp::platform_info;
  std::string json = fmt::format(
      R"({{"measurement": "{}", "host_data": "{}", "report_data": ["{}"], "id_key_digests": "{}",
"author_key_digests": "{}", "image_id": "{}", "family_id": "{}", "chip_ids": ["{}"],
"minimum_guest_svn": {}, "vmpl": [{}], "maximum_vmpl": 3,
"minimum_firmware": {{"major": {}, "minor": {}, "build": {}}}, )",
      hex_text(r.measurement.bytes), hex_text(r.host_data), hex_text(r.report_data),
      hex_text(r.id_key_digest.bytes), hex_text(r.author_key_digest.bytes), hex_text(r.image_id),
      hex_text(r.family_id), hex_text(r.chip_id), r.guest_svn, r.vmpl, r.current.major,
      r.current.minor, r.current.build);
  json += fmt::format(
      R"("minimum_tcb": {}, "minimum_launch_tcb": {}, "guest_policy_required": "{:#x}",
"platform_info": {{"smt_en": {}, "tsme_en": {}}}}})",
      minimum_tcb(r, r.reported_tcb), minimum_tcb(r, r.launch_tcb),
      r.policy & ~psp::policy::reserved_one, info(bits::smt_en), info(bits::tsme_en));
  return json;
}

std::set<std::string> Finding::names() const {
  std::set<std::string> all;
  for (const auto& [name, detail] : failed) {
    all.insert(name);
  }
  return all;
}

Finding examine(const Subject& subject) {
  Finding finding;
  const auto refuse = [&finding](const std::string& line) {
    finding.bad_input = line;
    return finding;
  };
  const auto report = read_report("report", subject.report);
  if (!report) {
    return refuse(report.error());
  }
  Credentials credentials;
  for (const auto& file : subject.credentials) {
    if (const auto added = add_credentials(credentials, "file", file); !added) {
      return refuse(added.error());
    }
  }
  const auto policy = read_report_policy("policy", as_bytes(subject.policy));
  if (!policy) {
    return refuse(policy.error());
  }
  const u32 key = psp::signer_info::signing_key(report->fields.signer_info);
  const auto chain = choose_chain(credentials, static_cast<psp::SigningKey>(key));
  if (!chain) {
    return refuse(chain.error());
  }
  const Verdict verdict = verify({*report, *chain, credentials.revocations, *policy, subject.at});
  for (const Check& check : verdict.checks) {
    if (check.outcome == Outcome::failed) {
      finding.failed.emplace(check.name, check.detail);
    }
  }
  return finding;
}

std::vector<FieldTamper> field_tampers() {
  std::vector<FieldTamper> all;
  for (auto part : {identity_tampers(), platform_tampers(), guest_tampers(), firmware_tampers(),
                    signature_tampers()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::vector<FileTamper> file_tampers() {
  using Bytes = std::vector<u8>;
  return {
      {"empty", [](Bytes& b) { b.clear(); }, "truncated"},
      {"one byte short", [](Bytes& b) { b.pop_back(); }, "truncated"},
      {"signature cut off", [](Bytes& b) { b.resize(0x2A0); }, "truncated"},
      {"a byte behind", [](Bytes& b) { b.push_back(0); }, "trailing bytes"},
      {"twice", [](Bytes& b) { b.insert(b.end(), b.begin(), b.end()); }, "trailing bytes"},
      {"version 0", [](Bytes& b) { b[0] = 0; }, "VERSION: expected 2 to 5, got 0"},
      {"version 1", [](Bytes& b) { b[0] = 1; }, "VERSION: expected 2 to 5, got 1"},
      {"version 6", [](Bytes& b) { b[0] = 6; }, "VERSION: expected 2 to 5, got 6"},
      {"version 0x01000003", [](Bytes& b) { b[3] = 1; }, "VERSION: expected 2 to 5"},
  };
}

std::vector<TimeTamper> time_tampers() {
  constexpr i64 century = i64{100} * 365 * 86400;
  return {{"expired", century, "expired on"}, {"not yet valid", -century, "is not valid before"}};
}

}  // namespace softsnp::attest::test
