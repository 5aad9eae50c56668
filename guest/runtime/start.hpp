// Where a loader enters a guest that is linked with guest.ld: 64-bit mode, RSI = boot_params, an
// identity map, interrupts off. Linked only into guests whose entry point is softsnp_guest_entry.
#pragma once

#include "base/types.hpp"

// The user's. Must not return; should it, the vCPU stops.
extern "C" void softsnp_guest_main(const softsnp::u8* boot_params);
