// QUERY_PROTOCOL and CONFIGURE_VTOM. SVSM sheet 4.6, 4.7.
#include "arch/svsm/vtom.hpp"
#include "guest/svsm/request.hpp"

namespace softsnp::svsm {

static_assert(core_version == 1 && attestation_version == 1 && vtpm_version == 1);

ResultCode query_protocol(Request& request) {
  u64& rcx = request.registers.rcx;
  const bool known = is_offered(request, protocol_of(rcx)) && static_cast<u32>(rcx) == 1;
  rcx = known ? version_range(1, 1) : protocol_not_available;
  return ResultCode::success;
}

// No host of ours runs a guest with vTOM.
ResultCode configure_vtom(Request& request) {
  u64& rcx = request.registers.rcx;
  if ((rcx & vtom_request::query) != 0) {
    if (rcx != vtom_request::query) {
      return ResultCode::invalid_parameter;
    }
    rcx = 0;
    return ResultCode::success;
  }
  const bool disables = (rcx & vtom_request::enable) == 0;
  if ((rcx & vtom_request::reserved) != 0 || (disables && (rcx & vtom_request::value) != 0)) {
    return ResultCode::invalid_parameter;
  }
  return ResultCode::invalid_request;
}

}  // namespace softsnp::svsm
