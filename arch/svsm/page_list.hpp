// Lists of pages: PVALIDATE, DEPOSIT_MEM, WITHDRAW_MEM. SVSM sheet 4.2, 4.5 (58019 chapter 6).
// Freestanding.
#pragma once

#include "arch/address.hpp"
#include "arch/svsm/calling_area.hpp"
#include "base/bits.hpp"

namespace softsnp::svsm {

// PVALIDATE and DEPOSIT_MEM; the list must not cross a 4 KiB boundary.
struct PageListHeader {
  u16 entries;
  u16 next;  // how many are finished; on an error, the failing one
  u32 reserved;
};
static_assert(sizeof(PageListHeader) == 8 && __builtin_offsetof(PageListHeader, next) == 2);

// DEPOSIT_MEM knows bits 1:0 and the page alone.
struct PageEntry {
  u64 value = 0;

  static constexpr u64 validate_bit = bit(2), ignore_cf_bit = bit(3);
  static constexpr u64 reserved_bits = mask_bits(11, 4);
  static constexpr u64 deposit_reserved_bits = mask_bits(11, 2);

  // 2 and 3 are invalid.
  constexpr u64 raw_size() const { return get_bits(value, 1, 0); }
  constexpr PageSize size() const { return static_cast<PageSize>(raw_size()); }
  constexpr bool validate() const { return (value & validate_bit) != 0; }
  constexpr bool ignore_cf() const { return (value & ignore_cf_bit) != 0; }
  constexpr GuestPhysical page() const { return GuestPhysical(value & mask_bits(63, 12)); }

  static constexpr PageEntry make(GuestPhysical page, PageSize size, bool validate,
                                  bool ignore_cf = false) {
    return PageEntry{(page.value() & mask_bits(63, 12)) | static_cast<u64>(size) |
                     (validate ? validate_bit : 0) | (ignore_cf ? ignore_cf_bit : 0)};
  }
};
static_assert(sizeof(PageEntry) == 8);

inline constexpr usize max_entries_in_page =
    (page_size - sizeof(PageListHeader)) / sizeof(PageEntry);
// A list that starts behind the Calling Area's header.
inline constexpr usize max_entries_in_calling_area =
    (sizeof(CallingArea::buffer) - sizeof(PageListHeader)) / sizeof(PageEntry);
static_assert(max_entries_in_calling_area == 510);

// WITHDRAW_MEM: filled by the SVSM; gPAs of 4 KiB pages follow.
struct WithdrawHeader {
  u16 count;
  u8 unused[6];
};
static_assert(sizeof(WithdrawHeader) == 8);

}  // namespace softsnp::svsm
