// The bzImage setup header, file offsets 1F1h..26Bh. linux-boot sheet 1.1; Linux documentation
// arch/x86/boot, protocol 2.15. Freestanding.
#pragma once

#include <cstddef>

#include "base/types.hpp"

namespace softsnp::boot {

struct __attribute__((packed)) SetupHeader {
  u8 setup_sects;
  u16 root_flags;
  u32 syssize;  // protected-mode part, in units of 16 bytes
  u16 ram_size;
  u16 vid_mode;
  u16 root_dev;
  u16 boot_flag;
  u16 jump;  // EBh, then the distance from 202h to the end of the header
  u32 header;
  u16 version;
  u32 realmode_swtch;
  u16 start_sys_seg;
  u16 kernel_version;
  u8 type_of_loader;
  u8 loadflags;
  u16 setup_move_size;
  u32 code32_start;
  u32 ramdisk_image;
  u32 ramdisk_size;
  u32 bootsect_kludge;
  u16 heap_end_ptr;
  u8 ext_loader_ver;
  u8 ext_loader_type;
  u32 cmd_line_ptr;
  u32 initrd_addr_max;
  u32 kernel_alignment;
  u8 relocatable_kernel;
  u8 min_alignment;
  u16 xloadflags;
  u32 cmdline_size;
  u32 hardware_subarch;
  u64 hardware_subarch_data;
  u32 payload_offset;
  u32 payload_length;
  u64 setup_data;
  u64 pref_address;
  u32 init_size;
  u32 handover_offset;
  u32 kernel_info_offset;
};

inline constexpr usize setup_header_offset = 0x1F1;
// The jump distance is counted from here (the byte after the jump instruction).
inline constexpr usize setup_header_jump_end = 0x202;
static_assert(sizeof(SetupHeader) == 0x26C - setup_header_offset);
static_assert(offsetof(SetupHeader, syssize) == 0x1F4 - setup_header_offset);
static_assert(offsetof(SetupHeader, boot_flag) == 0x1FE - setup_header_offset);
static_assert(offsetof(SetupHeader, header) == 0x202 - setup_header_offset);
static_assert(offsetof(SetupHeader, type_of_loader) == 0x210 - setup_header_offset);
static_assert(offsetof(SetupHeader, ramdisk_image) == 0x218 - setup_header_offset);
static_assert(offsetof(SetupHeader, cmd_line_ptr) == 0x228 - setup_header_offset);
static_assert(offsetof(SetupHeader, xloadflags) == 0x236 - setup_header_offset);
static_assert(offsetof(SetupHeader, setup_data) == 0x250 - setup_header_offset);
static_assert(offsetof(SetupHeader, init_size) == 0x260 - setup_header_offset);

inline constexpr u16 boot_flag_magic = 0xAA55;
inline constexpr u32 setup_header_magic = 0x53726448;  // "HdrS"
inline constexpr u16 minimum_protocol = 0x020C;        // first with xloadflags
inline constexpr u8 loader_undefined = 0xFF;
inline constexpr u8 loadflags_loaded_high = 1;
inline constexpr u16 xloadflags_kernel_64 = 1;
inline constexpr u64 sector_size = 512;
inline constexpr u64 entry_64_offset = 0x200;  // from the start of the protected-mode part

}  // namespace softsnp::boot
