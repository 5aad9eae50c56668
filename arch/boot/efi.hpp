// What UEFI firmware leaves in memory for an operating system. UEFI 2.10 (4.2 to 4.6 tables, 7.2.3
// memory map, 8 runtime services); the table of unaccepted memory is Linux' own
// (include/linux/efi.h, drivers/firmware/efi/libstub/unaccepted_memory.c). Freestanding.
#pragma once

#include <cstddef>

#include "arch/boot/guid.hpp"
#include "base/types.hpp"

namespace softsnp::boot::efi {

struct TableHeader {
  u64 signature;
  u32 revision;
  u32 header_size;  // of the whole table
  u32 crc32;        // of the whole table, with this field zero
  u32 reserved;
};
static_assert(sizeof(TableHeader) == 24);

inline constexpr u32 revision_2_10 = 2 << 16 | 100;

struct SystemTable {
  static constexpr u64 signature_value = 0x5453595320494249;  // "IBI SYST"
  TableHeader header;
  u64 firmware_vendor;  // UCS-2, ends with a zero
  u32 firmware_revision;
  u32 padding_24;
  // Gone with the boot services, zero.
  u64 console_in_handle, console_in, console_out_handle, console_out;
  u64 standard_error_handle, standard_error;
  u64 runtime_services;
  u64 boot_services;
  u64 configuration_entries;
  u64 configuration_table;
};
static_assert(sizeof(SystemTable) == 120);
static_assert(offsetof(SystemTable, runtime_services) == 88);
static_assert(offsetof(SystemTable, configuration_table) == 112);

struct RuntimeServices {
  static constexpr u64 signature_value = 0x56524553544E5552;  // "RUNTSERV"
  static constexpr usize count = 14;
  TableHeader header;
  u64 service[count];
};
static_assert(sizeof(RuntimeServices) == 136);

inline constexpr u64 status_unsupported = u64{1} << 63 | 3;

struct ConfigurationEntry {
  Guid guid;
  u64 table;
};
static_assert(sizeof(ConfigurationEntry) == 24);

inline constexpr Guid acpi_20_guid = make_guid(0x8868e871, 0xe4f1, 0x11d3, 0xbc220080c73c8881);
inline constexpr Guid runtime_properties_guid =
    make_guid(0xeb66918a, 0x7eef, 0x402a, 0x842e931d21c38ae9);
inline constexpr Guid cc_blob_guid = make_guid(0x067b1f5f, 0xcf26, 0x44c5, 0x855493d777912d42);
inline constexpr Guid unaccepted_memory_guid =
    make_guid(0xd5d1de3c, 0x105c, 0x44f9, 0x9ea9bcef98120031);

// Which runtime services work after the boot services are gone.
struct RuntimeProperties {
  u16 version;  // 1
  u16 length;
  u32 supported;  // a bit a service
};
static_assert(sizeof(RuntimeProperties) == 8);

enum class MemoryType : u32 {
  reserved = 0,
  loader_data = 2,
  runtime_code = 5,
  runtime_data = 6,
  conventional = 7,
  acpi_reclaim = 9,
  unaccepted = 15,
};

inline constexpr u64 memory_write_back = 1 << 3;
inline constexpr u64 memory_runtime = u64{1} << 63;

struct MemoryDescriptor {
  static constexpr u32 version = 1;
  MemoryType type;
  u32 padding_04;
  u64 physical_start;
  u64 virtual_start;
  u64 pages;  // of 4 KiB
  u64 attributes;
};
static_assert(sizeof(MemoryDescriptor) == 40);

// A bitmap follows: a one for each unit that must be accepted before it is used.
struct UnacceptedMemory {
  u32 version;  // 1
  u32 unit_size;
  u64 base;         // gPA of the first unit
  u64 bitmap_size;  // bytes
};
static_assert(sizeof(UnacceptedMemory) == 24);

inline constexpr u32 unaccepted_unit = 2 << 20;  // the one size Linux' stub makes

}  // namespace softsnp::boot::efi
