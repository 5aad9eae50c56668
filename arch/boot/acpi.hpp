// ACPI tables (ACPI 6.5 chapter 5.2; linux-boot sheet 4.2). All packed, checksums summing to 0.
// Freestanding.
#pragma once

#include <cstddef>

#include "base/types.hpp"

namespace softsnp::boot::acpi {

// 5.2.5.3.
struct __attribute__((packed)) Rsdp {
  u8 signature[8];
  u8 checksum;  // over the first 20 bytes
  u8 oem_id[6];
  u8 revision;
  u32 rsdt_address;
  u32 length;
  u64 xsdt_address;
  u8 extended_checksum;  // over all of it
  u8 reserved[3];
};
static_assert(sizeof(Rsdp) == 36);
inline constexpr usize rsdp_v1_size = 20;

// 5.2.6.
struct __attribute__((packed)) TableHeader {
  u8 signature[4];
  u32 length;
  u8 revision;
  u8 checksum;
  u8 oem_id[6];
  u8 oem_table_id[8];
  u32 oem_revision;
  u8 creator_id[4];
  u32 creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

enum class Space : u8 { system_memory = 0, system_io = 1 };

// 5.2.3.2.
struct __attribute__((packed)) GenericAddress {
  Space space;
  u8 bit_width;
  u8 bit_offset;
  u8 access_size;  // 1 = byte
  u64 address;
};
static_assert(sizeof(GenericAddress) == 12);

// 5.2.9, revision 5. Fields that hardware-reduced ACPI ignores are gaps and stay zero.
struct __attribute__((packed)) Fadt {
  TableHeader header;
  u32 firmware_ctrl;
  u32 dsdt;
  u8 gap_02c;
  u8 preferred_pm_profile;
  u8 gap_02e[63];
  u16 iapc_boot_arch;
  u8 gap_06f;
  u32 flags;
  GenericAddress reset_register;
  u8 reset_value;
  u16 arm_boot_arch;
  u8 minor_version;
  u64 x_firmware_ctrl;
  u64 x_dsdt;
  u8 gap_094[96];
  GenericAddress sleep_control;
  GenericAddress sleep_status;
};
static_assert(sizeof(Fadt) == 268);
static_assert(offsetof(Fadt, iapc_boot_arch) == 109);
static_assert(offsetof(Fadt, flags) == 112);
static_assert(offsetof(Fadt, x_dsdt) == 140);
static_assert(offsetof(Fadt, sleep_control) == 244);

// 5.2.9.3. Bits 0 (legacy devices), 1 (8042) and 5 (no CMOS RTC) stay clear: there is none of
// the first two, and there is an RTC.
inline constexpr u16 boot_arch_vga_not_present = 1 << 2;
inline constexpr u32 fadt_reset_register_supported = 1 << 10;
inline constexpr u32 fadt_hardware_reduced = 1 << 20;

// 5.2.12.
struct __attribute__((packed)) Madt {
  TableHeader header;
  u32 local_apic_address;
  u32 flags;  // bit 0 PCAT_COMPAT: clear, the 8259s are not announced
};
static_assert(sizeof(Madt) == 44);

enum class MadtType : u8 { local_apic = 0, ioapic = 1, local_apic_nmi = 4 };

struct __attribute__((packed)) MadtLocalApic {
  MadtType type;
  u8 length;
  u8 processor_uid;
  u8 apic_id;
  u32 flags;  // bit 0 enabled
};
static_assert(sizeof(MadtLocalApic) == 8);

struct __attribute__((packed)) MadtIoApic {
  MadtType type;
  u8 length;
  u8 id;
  u8 reserved;
  u32 address;
  u32 gsi_base;
};
static_assert(sizeof(MadtIoApic) == 12);

struct __attribute__((packed)) MadtLocalApicNmi {
  MadtType type;
  u8 length;
  u8 processor_uid;  // FFh: all
  u16 flags;
  u8 lint;
};
static_assert(sizeof(MadtLocalApicNmi) == 6);

}  // namespace softsnp::boot::acpi
