// Commands to the AMD-SP: the command buffer is copied to a page of ours, handed over, and copied
// back. Firmware sheet 1.1, 1.3.
#pragma once

#include <span>

#include "arch/psp/command.hpp"
#include "arch/psp/status.hpp"
#include "hypervisor/host/memory.hpp"

namespace softsnp::host {

class PspMailbox {
 public:
  explicit PspMailbox(HostMemory& memory) : memory_(memory) {}

  // At most one page of buffer; what the firmware wrote is in it afterwards.
  psp::Status command(psp::Command id, std::span<u8> buffer);
  psp::Status command(psp::Command id) { return command(id, {}); }
  template <class Buffer>
  psp::Status command(psp::Command id, Buffer& buffer) {
    return command(id, std::span<u8>(reinterpret_cast<u8*>(&buffer), sizeof buffer));
  }

 private:
  HostMemory& memory_;
  SystemPhysical page_{};  // allocated at the first command, kept
};

}  // namespace softsnp::host
