// Legacy commands to an AMD-SP whose SNP side is up: a command buffer that the firmware writes into
// must be the firmware's page for the time of the command. Firmware sheet 1.1; Linux sev-dev.c,
// snp_map_cmd_buf_desc().
#pragma once

#include "hypervisor/host/platform.hpp"

namespace softsnp::host {

class SevMailbox {
 public:
  SevMailbox(HostMemory& memory, PspMailbox& psp, Rmp& rmp, const Platform& platform)
      : memory_(memory), psp_(psp), rmp_(rmp), platform_(platform) {}

  // As PspMailbox::command(). Before SNP_INIT_EX buffers need no such care.
  psp::Status command(psp::Command id, std::span<u8> buffer);

 private:
  psp::Status command_in_firmware_page(psp::Command id, std::span<u8> buffer);

  HostMemory& memory_;
  PspMailbox& psp_;
  Rmp& rmp_;
  const Platform& platform_;
};

}  // namespace softsnp::host
