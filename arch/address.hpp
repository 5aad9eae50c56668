// Address spaces as types: a gVA, a gPA and an sPA cannot be mixed up, and neither can ASID and
// VMPL. Construction is explicit; conversion between kinds does not exist. The C-bit belongs to a
// mapping and never gets into an address. Freestanding.
#pragma once

#include <compare>

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp {

template <class Tag>
class Address {
 public:
  constexpr Address() = default;
  explicit constexpr Address(u64 value) : value_(value) {}

  constexpr u64 value() const { return value_; }
  // Rounds down to 4 KiB / 2 MiB; stays in its space.
  constexpr Address page() const { return Address(value_ & ~page_offset_mask); }
  constexpr Address large_page() const { return Address(align_down(value_, large_page_size)); }
  constexpr u64 page_number() const { return value_ >> page_shift; }
  constexpr u64 page_offset() const { return value_ & page_offset_mask; }
  constexpr bool is_page_aligned() const { return page_offset() == 0; }
  constexpr bool is_large_page_aligned() const { return is_aligned(value_, large_page_size); }

  // Wraps around modulo 2^64; use checked_add where the other side chose a number.
  friend constexpr Address operator+(Address a, u64 bytes) { return Address(a.value_ + bytes); }
  friend constexpr Address operator-(Address a, u64 bytes) { return Address(a.value_ - bytes); }
  // The difference of two addresses is a size in bytes.
  friend constexpr u64 operator-(Address a, Address b) { return a.value_ - b.value_; }
  friend constexpr auto operator<=>(Address, Address) = default;

  // Adds bytes to *this; false (and *this unchanged) if the sum does not fit in 64 bits.
  constexpr bool checked_add(u64 bytes) {
    const u64 sum = value_ + bytes;
    if (sum < value_) {
      return false;
    }
    value_ = sum;
    return true;
  }

 private:
  u64 value_ = 0;
};

// Of a process on the host, as a VMM's pointers.
using HostVirtual = Address<struct HostVirtualTag>;
using GuestVirtual = Address<struct GuestVirtualTag>;
using GuestPhysical = Address<struct GuestPhysicalTag>;
using SystemPhysical = Address<struct SystemPhysicalTag>;

// Address space identifier of an SEV guest; 0 is the host.
enum class Asid : u32 { host = 0 };
constexpr u32 number(Asid asid) {
  return static_cast<u32>(asid);
}

// Virtual machine privilege level 0..3; 0 is the most privileged.
enum class Vmpl : u8 { vmpl0 = 0, vmpl1, vmpl2, vmpl3 };
inline constexpr unsigned vmpl_count = 4;
constexpr unsigned number(Vmpl vmpl) {
  return static_cast<unsigned>(vmpl);
}

// Size of a page in a page table or in the RMP.
enum class PageSize : u8 { size_4k = 0, size_2m = 1 };
constexpr u64 bytes(PageSize size) {
  return size == PageSize::size_2m ? large_page_size : page_size;
}

}  // namespace softsnp
