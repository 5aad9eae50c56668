// The page-state-change request in the GHCB's shared buffer. GHCB sheet 3.5 (56421 4.1.6).
// Freestanding.
#pragma once

#include "arch/address.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "base/bits.hpp"

namespace softsnp::ghcb {

// Open: four bits arrive. KVM marks entries with other operations than the first two as processed.
enum class PageOperation : u8 { make_private = 1, make_shared = 2, psmash = 3, unsmash = 4 };

constexpr const char* name(PageOperation operation) {
  switch (operation) {
    case PageOperation::make_private:
      return "private";
    case PageOperation::make_shared:
      return "shared";
    case PageOperation::psmash:
      return "psmash";
    case PageOperation::unsmash:
      return "unsmash";
  }
  return "unknown";
}

struct PageStateHeader {
  u16 cur_entry;
  u16 end_entry;  // index of the last entry, inclusive
  u32 reserved;
};
static_assert(sizeof(PageStateHeader) == 8);

struct PageStateEntry {
  u64 value = 0;

  constexpr u64 cur_page() const { return get_bits(value, 11, 0); }
  constexpr void set_cur_page(u64 pages) { value = with_bits(value, 11, 0, pages); }
  constexpr GuestPhysical gpa() const { return GuestPhysical(value & mask_bits(51, 12)); }
  constexpr PageOperation operation() const {
    return static_cast<PageOperation>(get_bits(value, 55, 52));
  }
  constexpr PageSize size() const { return static_cast<PageSize>(get_bits(value, 56, 56)); }
  constexpr u64 page_count() const { return bytes(size()) / page_size; }

  static constexpr PageStateEntry make(GuestPhysical gpa, PageOperation operation, PageSize size) {
    return PageStateEntry{(gpa.value() & mask_bits(51, 12)) | static_cast<u64>(operation) << 52 |
                          static_cast<u64>(size) << 56};
  }
};
static_assert(sizeof(PageStateEntry) == 8);

inline constexpr usize max_page_state_entries =
    (shared_buffer_bytes - sizeof(PageStateHeader)) / sizeof(PageStateEntry);
static_assert(max_page_state_entries == 253);

// SW_EXITINFO2 of the event; SW_EXITINFO1 stays 0 even then.
namespace page_state_error {
inline constexpr u64 invalid_header = 0x0000000100000001, invalid_entry = 0x0000000100000002,
                     generic = 0x0000010000000000;
}

}  // namespace softsnp::ghcb
