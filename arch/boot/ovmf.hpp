// The GUID table and the SEV metadata at the end of an OVMF image. Firmware sheet 2.3, 2.4 (EDK2
// OvmfPkg/ResetVector). Freestanding.
#pragma once

#include "arch/boot/guid.hpp"
#include "base/types.hpp"

namespace softsnp::boot::ovmf {

using boot::Guid;
using boot::make_guid;

inline constexpr Guid footer_guid = make_guid(0x96b582de, 0x1fb2, 0x45f7, 0xbaeaa366c55a082d);
inline constexpr Guid hash_table_guid = make_guid(0x7255371f, 0x3a3b, 0x4b04, 0x927b1da6efa8d454);
inline constexpr Guid reset_block_guid = make_guid(0x00f771de, 0x1a7e, 0x4fcb, 0x890e68c77e2fb44e);
inline constexpr Guid metadata_guid = make_guid(0xdc886566, 0x984a, 0x4798, 0xa75e5585a7bf67cc);
inline constexpr Guid svsm_info_guid = make_guid(0xa789a612, 0x0597, 0x4c4b, 0xa49fcbb1fe9d1ddd);

// What stands behind an entry's data; the footer is such an entry without data, whose length is
// that of the whole table.
struct EntryTail {
  u16 length;  // of data and tail
  Guid guid;
};
static_assert(sizeof(EntryTail) == 0x12);

inline constexpr usize reset_vector_bytes = 0x20;

struct HashTableArea {
  u32 gpa;
  u32 size;
};

struct MetadataHeader {
  static constexpr u32 signature_value = 0x56455341;  // "ASEV"
  u32 signature;
  u32 length;  // of header and sections
  u32 version;
  u32 count;
};
static_assert(sizeof(MetadataHeader) == 0x10);

enum class SectionType : u32 {
  snp_memory = 1,
  snp_secrets = 2,
  cpuid = 3,
  svsm_calling_area = 4,
  kernel_hashes = 0x10,
};

struct MetadataSection {
  u32 gpa;
  u32 size;
  SectionType type;
};
static_assert(sizeof(MetadataSection) == 0x0C);

// The kernel hashes. GUIDs and lengths are constants, the sums are SHA-256.
struct __attribute__((packed)) HashEntry {
  Guid guid;
  u16 length;
  u8 sum[32];
};
static_assert(sizeof(HashEntry) == 0x32);

struct __attribute__((packed)) KernelHashes {
  static constexpr u16 length_value = 0xA8;
  Guid guid;
  u16 length;
  HashEntry command_line;
  HashEntry initrd;
  HashEntry kernel;
  u8 padding[8];
};
static_assert(sizeof(KernelHashes) == 0xB0);

inline constexpr Guid kernel_hashes_guid =
    make_guid(0x9438d606, 0x4f22, 0x4cc9, 0xb479a793d411fd21);
inline constexpr Guid command_line_guid = make_guid(0x97d02dd8, 0xbd20, 0x4c94, 0xaa78e7714d36ab2a);
inline constexpr Guid initrd_guid = make_guid(0x44baf731, 0x3a2f, 0x4bd7, 0x9af141e29169781d);
inline constexpr Guid kernel_guid = make_guid(0x4de79437, 0xabd2, 0x427f, 0xb835d5b172d2045b);

}  // namespace softsnp::boot::ovmf
