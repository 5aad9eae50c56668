// Multiboot 1: the header in the image and the information handed over in EBX. Multiboot
// Specification 0.6.96, 3.1 to 3.3. Freestanding.
#pragma once

#include <cstddef>

#include "base/types.hpp"

namespace softsnp::boot::multiboot {

inline constexpr u32 header_magic = 0x1BADB002;
inline constexpr u32 entry_magic = 0x2BADB002;  // EAX at entry
inline constexpr usize search_limit = 8192;

// 3.1.2. Bits 0-15 must be understood by the loader, bits 16-31 may be ignored.
inline constexpr u32 flag_page_align = 1 << 0, flag_memory_info = 1 << 1, flag_video = 1 << 2,
                     flag_addresses = 1 << 16, must_understand = 0xFFFF;

struct Header {
  u32 magic, flags, checksum;
  // Valid with flag_addresses.
  u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};
static_assert(sizeof(Header) == 32);
inline constexpr usize short_header_size = 12;

// 3.3.
inline constexpr u32 info_memory = 1 << 0, info_cmdline = 1 << 2, info_modules = 1 << 3,
                     info_mmap = 1 << 6, info_loader_name = 1 << 9;

struct Info {
  u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
  u32 syms[4];
  u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
  u32 vbe[4];
};
static_assert(sizeof(Info) == 88);
static_assert(offsetof(Info, mmap_length) == 44);
static_assert(offsetof(Info, boot_loader_name) == 64);

struct Module {
  u32 start, end, string, reserved;
};
static_assert(sizeof(Module) == 16);

struct __attribute__((packed)) MmapEntry {
  u32 size;  // of the rest: 20
  u64 base;
  u64 length;
  u32 type;
};
static_assert(sizeof(MmapEntry) == 24);

}  // namespace softsnp::boot::multiboot
