// The checksum that guards a SEV-ES save area while its guest does not run. Hardware sheet 8.1
// (380h, "SEV-ES integrity"), 9.1 row 6, 9.2; firmware sheet 7.1 (LAUNCH_UPDATE_VMSA). The sheets
// give the bytes covered and where the checksum lies; the CRC (here CRC-32C of the plaintext) and
// the form of its block are ours. Secure processor and cores share them. Freestanding.
#pragma once

#include "base/bytes.hpp"
#include "base/types.hpp"

namespace softsnp::svm {

// In firmware memory; VMSA 388h holds its address.
struct ChecksumBlock {
  static constexpr usize bytes = 0x10;
  u32 checksum;
  u32 reserved[3];
};
static_assert(sizeof(ChecksumBlock) == ChecksumBlock::bytes);

inline constexpr usize vmsa_checked_bytes = 0xFC0;

// Eight bytes a step: tables[k] continues a byte that k more bytes follow.
struct Crc32cTables {
  u32 of[8][256];
};
constexpr Crc32cTables make_crc32c_tables() {
  constexpr u32 polynomial = 0x82F63B78;  // reflected
  Crc32cTables tables{};
  for (u32 byte = 0; byte < 256; ++byte) {
    u32 crc = byte;
    for (int at = 0; at < 8; ++at) {
      crc = crc >> 1 ^ ((crc & 1) != 0 ? polynomial : 0);
    }
    tables.of[0][byte] = crc;
  }
  for (u32 byte = 0; byte < 256; ++byte) {
    for (int k = 1; k < 8; ++k) {
      const u32 before = tables.of[k - 1][byte];
      tables.of[k][byte] = before >> 8 ^ tables.of[0][before & 0xFF];
    }
  }
  return tables;
}
inline constexpr Crc32cTables crc32c_tables = make_crc32c_tables();

// bytes: a multiple of eight.
inline u32 crc32c(const u8* data, usize bytes) {
  u32 crc = ~u32{0};
  for (usize at = 0; at + 8 <= bytes; at += 8) {
    const u64 next = load_le<u64>(data + at) ^ crc;
    crc = 0;
    for (unsigned k = 0; k < 8; ++k) {
      crc ^= crc32c_tables.of[7 - k][next >> (8 * k) & 0xFF];
    }
  }
  return ~crc;
}

// vmsa: the page's plaintext.
inline u32 vmsa_checksum(const u8* vmsa) {
  return crc32c(vmsa, vmsa_checked_bytes);
}

}  // namespace softsnp::svm
