// SNP_VLEK_LOAD. Firmware sheet 1.6.
#include "arch/psp/platform_buffers.hpp"
#include "machine/psp/handlers.hpp"

namespace softsnp::psp {

Status snp_vlek_load(Firmware& firmware, Request& request) {
  WrappedVlek wrapped;
  const auto command = request.as<SnpVlekLoad>();
  if (!firmware.port.read_value(FirmwarePort::address(command.vlek_paddr), wrapped)) {
    return request.fail(Status::invalid_address, "no memory at the wrapped VLEK");
  }
  if (wrapped.mbz_00c != 0 || wrapped.mbz_198 != 0) {
    return request.fail(Status::invalid_param, "a field that must be zero is not");
  }
  const TcbVersion reported = firmware.encode(firmware.state.reported_tcb);
  if (wrapped.tcb != reported) {
    return request.fail(Status::bad_svn, "the VLEK is not for the reported TCB");
  }
  const auto hashstick = unwrap_vlek(firmware.keys.vcek(reported), wrapped);
  if (!hashstick) {
    return request.fail(Status::bad_measurement, "the VLEK is not wrapped for this chip");
  }
  firmware.state.vlek = LoadedVlek{wrapped.tcb, *hashstick};
  return Status::success;
}

}  // namespace softsnp::psp
