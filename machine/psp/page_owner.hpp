// The end of the checks of commands that take pages from a guest and give them back: ASID, owner,
// policy. Firmware sheet 1.6.
#pragma once

#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

// A page of the guest's memory. Requires an active guest.
Status check_guest_page(Request& request, const PageView& page);
// A metadata page of the guest.
Status check_metadata_page(Request& request, const PageView& page);
Status check_active(Request& request);
// POLICY.PAGE_SWAP_DISABLE: the guest's pages stay where they are.
Status check_swap_policy(Request& request);

}  // namespace softsnp::psp
