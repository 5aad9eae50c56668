// Linked setup_data nodes and the confidential-computing blob one of them points to.
// linux-boot sheet 1.7; firmware sheet 3.3. Freestanding.
#pragma once

#include <cstddef>

#include "base/types.hpp"

namespace softsnp::boot {

enum class SetupDataType : u32 {
  e820_ext = 1,
  dtb = 2,
  pci = 3,
  efi = 4,
  apple_properties = 5,
  jailhouse = 6,
  cc_blob = 7,
  ima = 8,
  rng_seed = 9,
};

struct SetupData {
  u64 next;  // gPA of the next node, 0 ends the list
  SetupDataType type;
  u32 length;  // of the data that follows
};
static_assert(sizeof(SetupData) == 16);

// SetupDataType::cc_blob: the data is the blob's address. Padded to a whole 8 bytes.
struct CcBlobNode {
  SetupData header;
  u32 cc_blob_address;
  u32 padding;
};
static_assert(sizeof(CcBlobNode) == 24);
static_assert(offsetof(CcBlobNode, cc_blob_address) == 0x10);

// SetupDataType::efi: whoever ran before has told the firmware its virtual addresses already; the
// kernel maps the memory map's regions where that says and calls nothing (Linux struct
// efi_setup_data, kexec_enter_virtual_mode()).
struct EfiNode {
  SetupData header;
  u64 firmware_vendor;
  u64 reserved_18;
  u64 configuration_table;
  u64 smbios;
  u64 reserved_30[8];
};
static_assert(sizeof(EfiNode) == 0x70);
static_assert(offsetof(EfiNode, configuration_table) == 0x20);

inline constexpr u32 cc_blob_magic = 0x45444D41;  // "AMDE"

struct CcBlob {
  u32 magic;
  u16 version;
  u16 reserved_06;
  u64 secrets_address;
  u32 secrets_length;  // exactly 4096, or Linux offers no sev-guest device
  u32 reserved_14;
  u64 cpuid_address;
  u32 cpuid_length;  // at least 4096
  u32 reserved_24;
};
static_assert(sizeof(CcBlob) == 0x28);
static_assert(offsetof(CcBlob, secrets_address) == 0x08);
static_assert(offsetof(CcBlob, cpuid_address) == 0x18);

}  // namespace softsnp::boot
