// What the loader puts below 1 MiB, where pages are 4 KiB anyway (the VGA window splits the first
// 2 MiB). Everything above stays in 2 MiB blocks. linux-boot sheet 1.3, 1.6, 1.8.
#pragma once

#include "arch/address.hpp"

namespace softsnp::image::low {

inline constexpr GuestPhysical first{0x1000};  // page 0 is the BIOS data area, left zero
inline constexpr GuestPhysical descriptors{0x1000};
inline constexpr GuestPhysical boot_info{0x2000};
inline constexpr GuestPhysical command_line{0x3000};
inline constexpr GuestPhysical setup_data{0x4000};
inline constexpr GuestPhysical page_tables{0x5000};  // six pages: identity map of 4 GiB
inline constexpr GuestPhysical cc_blob{0xB000};
inline constexpr GuestPhysical secrets{0xC000};
inline constexpr GuestPhysical cpuid{0xD000};
inline constexpr GuestPhysical end{0xE000};
// SEV-ES guests with several vCPUs have these in the place of the CC pages (guest/boot).
inline constexpr GuestPhysical boot_code{0xB000};
inline constexpr GuestPhysical ap_jump_table{0xC000};
inline constexpr GuestPhysical boot_ghcb{0xD000};
// Under an SVSM: the first vCPU's Calling Area. In one 2 MiB block with the pages before it, which
// an early kernel maps as a whole (SVSM sheet 9.1).
inline constexpr GuestPhysical calling_area{0xE000};

// With unaccepted memory: what a kernel booted by EFI expects of its firmware. The runtime
// services' data and code, a page each; from efi_tables on what may be freed once it has been read.
inline constexpr GuestPhysical efi_runtime_data{0x80000};
inline constexpr GuestPhysical efi_runtime_code{0x81000};
inline constexpr GuestPhysical efi_tables{0x82000};  // the memory map
inline constexpr GuestPhysical unaccepted_table{0x83000};

// RAM for the guest ends here below 1 MiB: room for an extended BIOS data area that stays empty.
inline constexpr GuestPhysical ram_end{0x9F000};
inline constexpr GuestPhysical acpi{0xE0000};  // RSDP first: where a search finds it, too
inline constexpr GuestPhysical acpi_end{0xF0000};
inline constexpr GuestPhysical one_mib{0x100000};

inline constexpr u64 command_line_capacity = page_size;  // with the terminating zero

}  // namespace softsnp::image::low
