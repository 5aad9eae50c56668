// The Guest-Hypervisor Communication Block page and its valid bitmap. GHCB sheet 1.1, 1.2 (56421,
// "GHCB Layout"). Freestanding.
#pragma once

#include "arch/svm/vmsa.hpp"
#include "base/bits.hpp"

namespace softsnp::ghcb {

// 128 bits: bit n says that the quadword at byte offset 8*n of the page holds a value. Bits without
// a field must be ignored: guests set 126 and 127 (GHCB sheet 1.2).
struct ValidBitmap {
  u64 low;
  u64 high;

  constexpr bool has(unsigned field_offset) const {
    const unsigned n = field_offset / 8;
    return n < 64 ? has_bit(low, n) : has_bit(high, n - 64);
  }
  constexpr void set(unsigned field_offset) {
    const unsigned n = field_offset / 8;
    if (n < 64) {
      low |= bit(n);
    } else {
      high |= bit(n - 64);
    }
  }
  constexpr void clear(unsigned field_offset) {
    const unsigned n = field_offset / 8;
    if (n < 64) {
      low &= ~bit(n);
    } else {
      high &= ~bit(n - 64);
    }
  }
  friend constexpr bool operator==(const ValidBitmap&, const ValidBitmap&) = default;
};
static_assert(sizeof(ValidBitmap) == 16);

// Every field of the list at its offset; all other bytes are reserved and live in raw.
union Ghcb {
  u8 raw[page_size];
#define FIELD(offset, type, name)  \
  struct __attribute__((packed)) { \
    u8 before_##name[offset];      \
    type name;                     \
  };
#include "arch/ghcb/ghcb_fields.inc"
#undef FIELD
};
static_assert(sizeof(Ghcb) == page_size);

inline constexpr svm::FieldInfo ghcb_fields[] = {
#define FIELD(offset, type, name) {offset, sizeof(type), #name},
#include "arch/ghcb/ghcb_fields.inc"
#undef FIELD
};
static_assert(svm::ordered_without_overlap(ghcb_fields, page_size));

// Offsets by name, for the valid bitmap: field::rax == 0x1F8.
namespace field {
#define FIELD(offset, type, name) inline constexpr unsigned name = offset;
#include "arch/ghcb/ghcb_fields.inc"
#undef FIELD
}  // namespace field

static_assert(field::rax / 8 == 63 && field::rcx / 8 == 97 && field::sw_exitcode / 8 == 114 &&
              field::sw_exitinfo1 / 8 == 115 && field::sw_exitinfo2 / 8 == 116 &&
              field::sw_scratch / 8 == 117 && field::xcr0 / 8 == 125 && field::cpl / 8 == 25);

// GHCB sheet 1.1: the shared buffer ends at 0xFF0 (exclusive).
inline constexpr u64 shared_buffer_offset = 0x800;
inline constexpr u64 shared_buffer_bytes = 2032;
inline constexpr u64 shared_buffer_end = shared_buffer_offset + shared_buffer_bytes;

// GHCB sheet 1.5: usage 0 is this layout; other numbers belong to hypervisor vendors.
inline constexpr u32 usage_standard = 0;
inline constexpr u16 protocol_version_min = 1, protocol_version_max = 2;

}  // namespace softsnp::ghcb
