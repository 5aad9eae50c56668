// Packets of encrypted guest memory: LAUNCH_SECRET, SEND_UPDATE_*, RECEIVE_UPDATE_*. Firmware sheet
// 7.1, 7.3.
#pragma once

#include <vector>

#include "arch/psp/sev_session.hpp"
#include "base/result.hpp"
#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

// The plaintext of the packet that a SevPacket buffer names, for the command's guest; its memory at
// guest_paddr may be written. measurement: see packet_mac().
Result<std::vector<u8>, Status> open_packet(Firmware& firmware, Request& request,
                                            SevMacContext context, std::span<const u8> measurement);

// The other way: guest memory under the guest's key becomes packet and header. INVALID_LENGTH tells
// the lengths needed in the buffer.
Status send_packet(Firmware& firmware, Request& request);

}  // namespace softsnp::psp
