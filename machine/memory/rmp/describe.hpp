// RMP entries, changes and results in words, for fault reports and traces.
#pragma once

#include <string>

#include "arch/snp/rmp.hpp"
#include "machine/memory/events.hpp"
#include "machine/memory/rmp/page_state.hpp"

namespace softsnp::memory {

// The manual's name of a code in EAX (hardware sheet 4.2).
const char* name(snp::RmpResult result);

// "rwus" for user/supervisor execution; "-" where denied, "k" shadow stack.
std::string describe_permissions(u8 mask);

// "Guest-Valid, ASID 5, gPA 0x12345000, 4K, VMPL0 rwusk VMPL1 r---- VMPL2 ----- VMPL3 -----, VMSA"
std::string describe(const snp::RmpEntry& entry);
// "RMPUPDATE by host", "PVALIDATE by SNP guest ASID 5 VMPL0 at RIP 0x..".
std::string describe(const RmpCause& cause);
// Page, extent, cause, entry before and after.
std::string describe(const RmpChange& change);

}  // namespace softsnp::memory
