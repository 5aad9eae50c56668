// The sample under restricted injection: its doorbell page and what #HV brings.
#pragma once

#include "guest/runtime/hv_exception.hpp"
#include "guest/samples/guest_state.hpp"

namespace softsnp::guest {

// Shares and registers the page, switches the local APIC on; interrupts are off. Once.
HvEvents& start_doorbell(HvHandlers& handlers);
HvDoorbell& doorbell();
ghcb::DoorbellPage& doorbell_page();
// Null before.
HvEvents* hv_events();

}  // namespace softsnp::guest
