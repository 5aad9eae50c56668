// Linux' zero page. linux-boot sheet 1.5; Linux Documentation/arch/x86/zero-page.rst. Freestanding.
#pragma once

#include "arch/boot/e820.hpp"
#include "arch/boot/setup_header.hpp"

namespace softsnp::boot {

// Where the loader leaves what EFI gave it. All zero: not booted by EFI.
struct __attribute__((packed)) EfiInfo {
  static constexpr u32 signature_64 = 0x34364C45;  // "EL64"
  u32 loader_signature;
  u32 system_table;
  u32 descriptor_size;
  u32 descriptor_version;
  u32 memory_map;
  u32 memory_map_size;
  u32 system_table_high;
  u32 memory_map_high;
};
static_assert(sizeof(EfiInfo) == 0x20);

// What the loader says of Secure Boot (Linux enum efi_secureboot_mode).
inline constexpr u8 secure_boot_disabled = 2;

struct __attribute__((packed)) BootParams {
  u8 screen_info[0x40];
  u8 gap_040[0x30];
  u64 acpi_rsdp_addr;
  u8 gap_078[0x48];
  u32 ext_ramdisk_image;
  u32 ext_ramdisk_size;
  u32 ext_cmd_line_ptr;
  u8 gap_0cc[0x70];
  u32 cc_blob_address;
  u8 edid_info[0x80];
  EfiInfo efi_info;
  u8 gap_1e0[8];
  u8 e820_entries;
  u8 gap_1e9[3];
  u8 secure_boot;
  u8 gap_1ed[2];
  u8 sentinel;
  u8 gap_1f0;
  SetupHeader header;
  u8 gap_26c[0x64];
  E820Entry e820_table[e820_max_entries];
  u8 gap_cd0[0x330];
};
static_assert(sizeof(BootParams) == 4096);
static_assert(offsetof(BootParams, acpi_rsdp_addr) == 0x070);
static_assert(offsetof(BootParams, ext_ramdisk_image) == 0x0C0);
static_assert(offsetof(BootParams, cc_blob_address) == 0x13C);
static_assert(offsetof(BootParams, efi_info) == 0x1C0);
static_assert(offsetof(BootParams, e820_entries) == 0x1E8);
static_assert(offsetof(BootParams, secure_boot) == 0x1EC);
static_assert(offsetof(BootParams, sentinel) == 0x1EF);
static_assert(offsetof(BootParams, header) == setup_header_offset);
static_assert(offsetof(BootParams, e820_table) == 0x2D0);

}  // namespace softsnp::boot
