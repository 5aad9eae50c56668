// SNP_SHUTDOWN(_EX), SNP_DF_FLUSH, SNP_CONFIG, SNP_COMMIT. Firmware sheet 1.6.
#include "arch/psp/platform_buffers.hpp"
#include "machine/psp/handlers.hpp"

namespace softsnp::psp {

namespace {

// In platform state INIT (the row answers UNINIT before this).
Status shut_down(Firmware& firmware, Request& request, u32 flags) {
  PspState& state = firmware.state;
  if (!state.asids.all_clean()) {
    return request.fail(Status::df_flush_required, "an ASID is not clean");
  }
  if ((flags & SnpShutdownEx::x86_snp_shutdown) != 0 && !firmware.platform.disable_snp()) {
    return request.fail(Status::shutdown_incomplete, "SNPEn cannot be cleared");
  }
  if ((flags & SnpShutdownEx::iommu_snp_shutdown) != 0) {
    // Clean ASIDs have no keys left to wipe, and there are no IOMMU pages.
    state.rmp_initialised = false;
  }
  state.vlek.reset();
  state.platform = PlatformState::uninit;
  return Status::success;
}

}  // namespace

Status snp_shutdown(Firmware& firmware, Request& request) {
  return shut_down(firmware, request, 0);
}

Status snp_shutdown_ex(Firmware& firmware, Request& request) {
  return shut_down(firmware, request, request.as<SnpShutdownEx>().flags);
}

Status snp_df_flush(Firmware& firmware, Request& request) {
  if (!firmware.platform.all_cores_flushed()) {
    return request.fail(Status::wbinvd_required, "a core has not executed WBINVD");
  }
  firmware.state.asids.flush();
  return Status::success;
}

Status snp_config(Firmware& firmware, Request& request) {
  const auto config = request.as<SnpConfig>();
  PspState& state = firmware.state;
  const TcbComponents wanted = config.reported_tcb == TcbVersion{}
                                   ? state.committed_tcb
                                   : decode_tcb(firmware.config.product, config.reported_tcb);
  if (tcb_order(wanted) > tcb_order(state.committed_tcb)) {
    return request.fail(Status::invalid_param, "REPORTED_TCB is above the committed TCB");
  }
  state.reported_tcb = wanted;
  // A hashstick rolls back, never forward. What firmware does with one that does not reach is not
  // in the sheet; without a VLEK for the reported TCB there is nothing to sign with.
  if (state.vlek && !no_component_above(firmware.encode(wanted), state.vlek->made_for)) {
    state.vlek.reset();
  }
  state.mask_chip_id = (config.flags & SnpConfig::mask_chip_id) != 0;
  state.mask_chip_key = (config.flags & SnpConfig::mask_chip_key) != 0;
  return Status::success;
}

Status snp_commit(Firmware& firmware, Request&) {
  firmware.state.committed_tcb = firmware.state.current_tcb;
  firmware.state.committed_version = firmware.config.version;
  return Status::success;
}

}  // namespace softsnp::psp
