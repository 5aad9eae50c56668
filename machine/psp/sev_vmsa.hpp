// Save areas of SEV-ES guests, as LAUNCH_UPDATE_VMSA and RECEIVE_UPDATE_VMSA leave them. Firmware
// sheet 7.1, hardware sheet 8.1.
#pragma once

#include <span>

#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

// A save area's length, and a guest that has one: INVALID_LENGTH, UNSUPPORTED.
Status check_vmsa_update(Request& request, u64 bytes);

// The guest's plaintext becomes a save area at page that VMRUN accepts: 380h zero, 388h the address
// of its checksum in the TMR; encrypted under the guest's key. RESOURCE_LIMIT if the TMR is full;
// then nothing changed.
Status place_vmsa(Firmware& firmware, Request& request, std::span<const u8, page_size> plain,
                  SystemPhysical page);

}  // namespace softsnp::psp
