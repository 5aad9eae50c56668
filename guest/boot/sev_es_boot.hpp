// What a firmware would do for a SEV-ES guest with several vCPUs: tells the hypervisor where the AP
// jump table is, and leads each AP through it. GHCB sheet 3.10 (AP jump table), 56421 4.3; Linux
// sev_es_setup_ap_jump_table(), sev_es_trampoline_start.
#pragma once

#include <span>

#include "arch/address.hpp"

namespace softsnp::guest {

// The code, for any page below 1 MiB whose places are those of the launch plan. Its first byte is
// the entry of the bootstrap processor, in long mode with paging:
//   RDI  where to go on, RSI is left as it is
//   RBX  gPA of the GHCB, in the first 2 MiB; the page need not hold anything
//   RBP  gPA of the jump table
//   R8   address of a leaf entry of the page tables that is lent for a moment
//   R9   linear address which that entry maps
//   R10  entry that maps the first 2 MiB in the clear
std::span<const u8> sev_es_boot_code();

// Offset of the entry of the other processors: real mode, DS base 0. It jumps to what the table's
// first words say: IP, CS.
u64 sev_es_ap_entry();
// Which is at this address, because real mode has no register to pass it in.
inline constexpr GuestPhysical ap_jump_table{0xC000};

}  // namespace softsnp::guest
