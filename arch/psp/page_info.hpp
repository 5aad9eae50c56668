// PAGE_INFO: what one 4 KiB step of the launch digest covers. Firmware sheet 2.1 (56860
// "SNP_LAUNCH_UPDATE", PAGE_INFO). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

inline constexpr usize digest_bytes = 48;  // SHA-384

struct Digest {
  u8 bytes[digest_bytes] = {};
  friend constexpr bool operator==(const Digest&, const Digest&) = default;
};

struct PageInfo {
  Digest current;
  Digest contents;
  u16 length = 0x70;
  u8 page_type = 0;
  u8 imi_page = 0;  // bit 0
  u8 reserved = 0;
  u8 vmpl_permissions[3] = {};  // VMPL1..VMPL3
  u64 gpa = 0;
};
static_assert(sizeof(PageInfo) == 0x70);
static_assert(__builtin_offsetof(PageInfo, contents) == 0x30);
static_assert(__builtin_offsetof(PageInfo, length) == 0x60);
static_assert(__builtin_offsetof(PageInfo, vmpl_permissions) == 0x65);
static_assert(__builtin_offsetof(PageInfo, gpa) == 0x68);

}  // namespace softsnp::psp
