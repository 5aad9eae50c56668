// Commands that only tell: SNP_PLATFORM_STATUS, SNP_GUEST_STATUS, SNP_FEATURE_INFO. Firmware sheet
// 1.6.
#include "arch/psp/guest_buffers.hpp"
#include "arch/psp/platform_buffers.hpp"
#include "machine/psp/guest_message.hpp"
#include "machine/psp/handlers.hpp"

namespace softsnp::psp {

namespace {

Status answer(Firmware& firmware, Request& request, SystemPhysical to, std::span<const u8> bytes) {
  return firmware.port.write(to, bytes)
             ? Status::success
             : request.fail(Status::invalid_address, "no memory for the answer");
}
template <class T>
Status answer(Firmware& firmware, Request& request, SystemPhysical to, const T& value) {
  return answer(firmware, request, to,
                std::span<const u8>(reinterpret_cast<const u8*>(&value), sizeof value));
}

}  // namespace

Status snp_platform_status(Firmware& firmware, Request& request) {
  const PspState& state = firmware.state;
  SnpPlatformStatus status{};
  status.api_major = firmware.config.version.major;
  status.api_minor = firmware.config.version.minor;
  status.build_id = firmware.config.version.build;
  status.state = static_cast<u8>(state.platform);
  status.rmp_flags = state.rmp_initialised ? SnpPlatformStatus::is_rmp_init : u8{0};
  status.flags = SnpPlatformStatus::feature_info |
                 (state.mask_chip_id ? SnpPlatformStatus::mask_chip_id : 0) |
                 (state.mask_chip_key ? SnpPlatformStatus::mask_chip_key : 0) |
                 (state.vlek ? SnpPlatformStatus::vlek_en : 0);
  status.guest_count = state.guest_count;
  status.current_tcb = encode_tcb(firmware.config.product, state.current_tcb);
  status.reported_tcb = encode_tcb(firmware.config.product, state.reported_tcb);
  return answer(firmware, request, request.pages[0].at, status);
}

Status snp_guest_status(Firmware& firmware, Request& request) {
  SnpGuestStatus status{};
  status.policy = request.context->policy;
  status.asid = number(request.context->asid);
  status.state = static_cast<u8>(request.context->state);
  status.flags = request.context->vcek_dis ? SnpGuestStatus::vcek_dis : u8{0};
  return answer(firmware, request, request.pages[0].at, status);
}

Status snp_feature_info(Firmware& firmware, Request& request) {
  const SystemPhysical to = request.pages[0].at;
  SnpFeatureInfoOutput output{};
  if (!is_aligned(to.value(), 4) || to.page_offset() + sizeof output > page_size) {
    return request.fail(Status::invalid_address, "the answer is unaligned or crosses a page");
  }
  if (request.as<SnpFeatureInfo>().ecx_in == 0) {
    output.eax = 1;
    output.ebx = SnpFeatureInfoOutput::ebx_legacy_sev;
    output.ecx = SnpFeatureInfoOutput::ecx_vlek | SnpFeatureInfoOutput::ecx_x86_snp_shutdown;
  } else {
    output.eax = guest_message_features;
  }
  return answer(firmware, request, to, output);
}

}  // namespace softsnp::psp
