#include "machine/psp/sev_operands.hpp"

namespace softsnp::psp {

Status check_readable(const Firmware& firmware, Request& request, const MemoryRange& range) {
  request.pages[0] = firmware.port.view(range.at);
  if (!firmware.port.in_dram(range.at, range.bytes)) {
    return request.fail(Status::invalid_address, "no memory at the address", request.pages[0]);
  }
  if (range.bytes != 0 && firmware.port.touches_rmp(range.at, range.bytes)) {
    return request.fail(Status::invalid_param, "the address lies in the RMP", request.pages[0]);
  }
  if (firmware.state.sev.tmr.touches(range.at, range.bytes)) {
    return request.fail(Status::invalid_address, "the address lies in the TMR", request.pages[0]);
  }
  return Status::success;
}

Status check_writable(const Firmware& firmware, Request& request, const MemoryRange& range) {
  const Status status = check_readable(firmware, request, range);
  if (status != Status::success || firmware.state.platform != PlatformState::init) {
    return status;
  }
  const u64 end = range.at.value() + range.bytes;
  for (SystemPhysical page = range.at.page(); page.value() < end; page = page + page_size) {
    const PageState state = firmware.port.state(page);
    if (state != PageState::firmware && state != PageState::default_) {
      request.pages[0] = firmware.port.view(page);
      return request.fail(Status::invalid_page_state, "a page to be written is not FIRMWARE",
                          request.pages[0]);
    }
  }
  return Status::success;
}

Status check_granules(Request& request, const MemoryRange& range) {
  if (!is_aligned(range.at.value(), sev_granule)) {
    return request.fail(Status::invalid_address, "the address is not a multiple of 16");
  }
  if (range.bytes == 0 || !is_aligned(range.bytes, sev_granule)) {
    return request.fail(Status::invalid_length, "the length is zero or not a multiple of 16");
  }
  return Status::success;
}

std::vector<u8> read_memory(Firmware& firmware, const MemoryRange& range, memory::KeyId key) {
  std::vector<u8> bytes(range.bytes);
  firmware.port.dram().read(range.at, key, bytes);
  return bytes;
}

void write_memory(Firmware& firmware, SystemPhysical at, std::span<const u8> bytes,
                  memory::KeyId key) {
  firmware.port.dram().write(at, key, bytes);
}

}  // namespace softsnp::psp
