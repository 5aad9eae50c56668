// The REPORT message: an attestation report, signed. Firmware sheet 4.3, 5.1.
#include <algorithm>

#include "machine/psp/guest_message.hpp"

namespace softsnp::psp {

namespace {

ReportedFirmware reported(const FirmwareVersion& version) {
  return {version.build, version.minor, version.major, 0};
}

void describe_guest(const GuestContext& context, AttestationReport& report) {
  report.guest_svn = context.id_block.guest_svn;
  report.policy = context.policy;
  std::copy_n(context.id_block.family_id, sizeof report.family_id, report.family_id);
  std::copy_n(context.id_block.image_id, sizeof report.image_id, report.image_id);
  report.measurement = context.launch_digest;
  std::copy(context.host_data.begin(), context.host_data.end(), report.host_data);
  report.id_key_digest = context.id_key_digest;
  report.author_key_digest = context.author_key_digest;
  std::copy(context.report_id.begin(), context.report_id.end(), report.report_id);
  std::copy(context.report_id_ma.begin(), context.report_id_ma.end(), report.report_id_ma);
  report.launch_tcb = context.launch_tcb;
}

void describe_platform(const Firmware& firmware, AttestationReport& report) {
  const PspState& state = firmware.state;
  report.current_tcb = firmware.encode(state.current_tcb);
  report.reported_tcb = firmware.encode(state.reported_tcb);
  report.committed_tcb = firmware.encode(state.committed_tcb);
  report.current = reported(firmware.config.version);
  report.committed = reported(state.committed_version);
  report.platform_info = (firmware.platform.smt_enabled() ? platform_info::smt_en : 0) |
                         (firmware.platform.tsme_enabled() ? platform_info::tsme_en : 0);
  if (!state.mask_chip_id) {
    const ChipId& id = firmware.keys.chip().id;
    std::copy(id.begin(), id.end(), report.chip_id);
  }
}

void add_newer_fields(const Firmware& firmware, const GuestContext& context,
                      AttestationReport& report) {
  const ReportVersion version = firmware.config.report_version;
  if (at_least(version, ReportVersion::v3)) {
    const CpuidIdentity identity = cpuid_identity(firmware.platform.cpuid(1, 0).eax);
    report.cpuid_family = identity.family;
    report.cpuid_model = identity.model;
    report.cpuid_stepping = identity.stepping;
  }
  if (at_least(version, ReportVersion::v5)) {
    report.launch_mitigation_vector = context.launch_mitigation_vector;
    report.current_mitigation_vector = firmware.config.mitigation_vector;
  }
}

void sign(Firmware& firmware, SigningKey key, AttestationReport& report) {
  if (key == SigningKey::none) {
    return;
  }
  const TcbVersion& tcb = report.reported_tcb;
  const EndorsementKey& endorsement = key == SigningKey::vlek
                                          ? firmware.keys.vlek(*firmware.state.vlek, tcb)
                                          : firmware.keys.vcek(tcb);
  const Digest digest =
      firmware.sha({reinterpret_cast<const u8*>(&report), AttestationReport::signed_bytes});
  report.signature = firmware.keys.sign(endorsement, digest);
}

AttestationReport make_report(Firmware& firmware, const GuestContext& context,
                              const ReportRequest& asked, SigningKey key) {
  AttestationReport report{};
  report.version = static_cast<u32>(firmware.config.report_version);
  report.vmpl = asked.vmpl;
  report.signature_algorithm = AttestationReport::algorithm_ecdsa_p384_sha384;
  std::copy_n(asked.report_data, sizeof asked.report_data, report.report_data);
  describe_guest(context, report);
  describe_platform(firmware, report);
  add_newer_fields(firmware, context, report);
  report.signer_info = signer_info::with_key(key) |
                       (context.author_key_en ? signer_info::author_key_en : 0) |
                       (firmware.state.mask_chip_key ? signer_info::mask_chip_key : 0);
  sign(firmware, key, report);
  return report;
}

}  // namespace

void answer_report(Firmware& firmware, Request& request, GuestMessage& message) {
  const auto asked = message.as<ReportRequest>();
  ReportResponse response{};
  const auto refuse = [&](MessageStatus status) {
    response.status = static_cast<u32>(status);
    message.answer(response);
  };
  if ((asked.selection & ~ReportRequest::key_select_mask) != 0 ||
      !message.zero(offsetof(ReportRequest, mbz_48), sizeof asked.mbz_48)) {
    return refuse(MessageStatus::invalid_parameters);
  }
  const GuestContext& context = *request.context;
  auto key = choose_key(firmware.state, context, static_cast<KeySelect>(asked.selection));
  if (!key) {
    return refuse(MessageStatus::invalid_key_selection);
  }
  if (asked.vmpl < message.vmpck) {
    return refuse(MessageStatus::invalid_parameters);
  }
  if (key == SigningKey::vcek && firmware.state.mask_chip_key) {
    key = SigningKey::none;  // the report goes out unsigned
  }
  response.report_size = sizeof response.report;
  response.report = make_report(firmware, context, asked, *key);
  message.answer(response);
}

}  // namespace softsnp::psp
