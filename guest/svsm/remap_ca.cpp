// REMAP_CA. SVSM sheet 4.1.
#include "arch/svsm/calling_area.hpp"
#include "guest/svsm/request.hpp"

namespace softsnp::svsm {

ResultCode remap_ca(Request& request) {
  const GuestPhysical area(request.registers.rcx);
  if (!area.is_page_aligned()) {
    return ResultCode::invalid_parameter;
  }
  if (area == request.caller.calling_area) {
    return ResultCode::success;
  }
  if (!request.state.is_free(page_at(area))) {
    return ResultCode::invalid_address;
  }
  // Against a second call that the guest never made (SVSM sheet 2.4).
  if (!write_value(request.platform, area, CallingArea::no_call)) {
    return ResultCode::invalid_address;
  }
  request.caller.calling_area = area;
  return ResultCode::success;
}

}  // namespace softsnp::svsm
