// VTPM_QUERY and VTPM_CMD. SVSM sheet 6.
#include "base/bytes.hpp"
#include "guest/svsm/request.hpp"

namespace softsnp::svsm {
namespace {

// Two pages if it is not aligned: always 4096 bytes are copied.
bool is_callers(const Request& request, GuestPhysical at) {
  return request.state.is_free({at, vtpm_buffer_bytes}, &request.caller);
}

ResultCode check(const VtpmRequestHeader& header) {
  if (header.platform_command != static_cast<u32>(VtpmPlatformCommand::send_command)) {
    return ResultCode::invalid_parameter;
  }
  const bool good = header.locality == 0 && header.command_size <= max_vtpm_command_bytes;
  return good ? ResultCode::success : ResultCode::invalid_parameter;
}

}  // namespace

ResultCode vtpm_query(Request& request) {
  request.registers.rcx = vtpm_command_bit(VtpmPlatformCommand::send_command);
  request.registers.rdx = 0;
  return ResultCode::success;
}

ResultCode vtpm_command(Request& request) {
  const GuestPhysical at(request.registers.rcx);
  if (at == GuestPhysical(0)) {
    return ResultCode::invalid_parameter;
  }
  u8 buffer[vtpm_buffer_bytes];
  if (!is_callers(request, at) || !request.platform.read(at, buffer, sizeof buffer)) {
    return ResultCode::invalid_address;
  }
  const auto header = load_le<VtpmRequestHeader>(buffer);
  if (const ResultCode checked = check(header); checked != ResultCode::success) {
    return checked;
  }
  u8 response[vtpm_buffer_bytes];
  const usize size = request.vtpm->execute(buffer + sizeof header, header.command_size,
                                           response + sizeof(VtpmResponseHeader));
  store_le(response, VtpmResponseHeader{static_cast<u32>(size)});
  const bool written = request.platform.write(at, response, sizeof(VtpmResponseHeader) + size);
  return written ? ResultCode::success : ResultCode::invalid_address;
}

}  // namespace softsnp::svsm
