// The built-in sample's one vCPU: its processor, its GHCB, its page tables.
#pragma once

#include "guest/runtime/ghcb_client.hpp"
#include "guest/runtime/hv_processor.hpp"
#include "guest/runtime/page_tables.hpp"

namespace softsnp::guest {

HvProcessor& processor();
PageTables& page_tables();
// Negotiates, sets up the GHCB; ends the guest if that fails.
void start_ghcb(bool snp);
// Requires start_ghcb().
GhcbClient& ghcb();
u64 hypervisor_features();

// The C-bit of one 4 KiB page, of one whole 2 MiB page.
void set_encrypted(const volatile void* at, bool encrypted);
void set_encrypted_2m(const volatile void* at, bool encrypted);
// One entry by the page protocol; SW_EXITINFO1, or 2 if that is 0, as the hypervisor answered.
u64 change_page_state(u64 gpa, bool large, ghcb::PageOperation operation);

}  // namespace softsnp::guest
