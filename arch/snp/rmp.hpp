// The Reverse Map Table entry (Zen3/Zen4 layout), the RMPUPDATE operand and the result codes of
// the RMP instructions. Hardware sheet 3.1, 3.2, 4.2 (APM2 15.36.3). Freestanding.
#pragma once

#include "arch/address.hpp"
#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::snp {

// 16 bytes a 4 KiB page, little-endian, in DRAM from RMP_BASE + rmp_bookkeeping_bytes.
struct RmpEntry {
  u64 low = 0;
  u64 high = 0;

  constexpr bool assigned() const { return has_bit(low, 0); }
  constexpr PageSize size() const { return static_cast<PageSize>(get_bits(low, 1, 1)); }
  constexpr bool immutable() const { return has_bit(low, 2); }
  constexpr u64 sub_page_count() const { return get_bits(low, 11, 3); }
  constexpr GuestPhysical gpa() const { return GuestPhysical(low & mask_bits(50, 12)); }
  constexpr Asid asid() const { return static_cast<Asid>(get_bits(low, 60, 51)); }
  constexpr bool vmsa() const { return has_bit(low, 61); }
  constexpr bool validated() const { return has_bit(low, 62); }
  constexpr bool locked() const { return has_bit(low, 63); }
  // Permission mask of one VMPL (hardware sheet 6.1).
  constexpr u8 permissions(Vmpl vmpl) const { return static_cast<u8>(high >> (8 * number(vmpl))); }

  constexpr void set_assigned(bool v) { low = with_bits(low, 0, 0, v ? 1 : 0); }
  constexpr void set_size(PageSize v) { low = with_bits(low, 1, 1, static_cast<u64>(v)); }
  constexpr void set_immutable(bool v) { low = with_bits(low, 2, 2, v ? 1 : 0); }
  constexpr void set_sub_page_count(u64 v) { low = with_bits(low, 11, 3, v); }
  constexpr void set_gpa(GuestPhysical v) { low = with_bits(low, 50, 12, v.value() >> 12); }
  constexpr void set_asid(Asid v) { low = with_bits(low, 60, 51, number(v)); }
  constexpr void set_vmsa(bool v) { low = with_bits(low, 61, 61, v ? 1 : 0); }
  constexpr void set_validated(bool v) { low = with_bits(low, 62, 62, v ? 1 : 0); }
  constexpr void set_locked(bool v) { low = with_bits(low, 63, 63, v ? 1 : 0); }
  constexpr void set_permissions(Vmpl vmpl, u8 mask) {
    const unsigned at = 8 * number(vmpl);
    high = with_bits(high, at + 7, at, mask);
  }
  friend constexpr bool operator==(const RmpEntry&, const RmpEntry&) = default;
};
static_assert(sizeof(RmpEntry) == 16);

inline constexpr u64 rmp_bookkeeping_bytes = 0x4000;
inline constexpr u32 max_asid = 1006;  // Genoa (hardware sheet 2.1)

// VMPL permission bits (hardware sheet 6.1).
namespace permission {
inline constexpr u8 read = 1, write = 2, execute_user = 4, execute_supervisor = 8,
                    supervisor_shadow_stack = 16, all = 0xFF;
}

// RMPUPDATE's memory operand and RMPREAD's output (hardware sheet 3.2).
struct RmpUpdate {
  u64 gpa = 0;
  u8 assigned = 0;   // bit 0
  u8 page_size = 0;  // bit 0: 2M; bit 1 (RMPREAD only): region has assigned 4K entries
  u8 immutable = 0;  // bit 0
  u8 reserved = 0;
  u32 asid = 0;
};
static_assert(sizeof(RmpUpdate) == 16);

// EAX after an RMP instruction (hardware sheet 4.2).
enum class RmpResult : u32 {
  success = 0,
  fail_input = 1,
  fail_permission = 2,
  fail_inuse = 3,
  fail_overlap = 4,
  fail_sizemismatch = 6,
  fail_not_eligible = 7,
};

}  // namespace softsnp::snp
