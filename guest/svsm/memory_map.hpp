// Stretches of guest physical memory. Freestanding.
#pragma once

#include "arch/address.hpp"
#include "base/types.hpp"

namespace softsnp::svsm {

struct Stretch {
  GuestPhysical start;
  u64 bytes = 0;

  // The end is computed by subtraction alone: no sum of hostile numbers can wrap.
  constexpr bool contains(const Stretch& other) const {
    return other.start >= start && other.start - start <= bytes &&
           other.bytes <= bytes - (other.start - start);
  }
  constexpr bool overlaps(const Stretch& other) const {
    return start < other.start ? other.start - start < bytes : start - other.start < other.bytes;
  }
};
static_assert(Stretch{GuestPhysical(0x1000), 0x1000}.contains({GuestPhysical(0x1000), 0x1000}));
static_assert(!Stretch{GuestPhysical(0x1000), 0x1000}.contains({GuestPhysical(0x1001), 0x1000}));
static_assert(!Stretch{GuestPhysical(0x1000), 0x1000}.contains({GuestPhysical(0x1800), ~u64{0}}));
static_assert(!Stretch{GuestPhysical(0x1000), 0x1000}.overlaps({GuestPhysical(0x2000), 0x1000}));
static_assert(Stretch{GuestPhysical(0x1000), 0x1000}.overlaps({GuestPhysical(0xFFF), ~u64{0}}));

constexpr Stretch page_at(GuestPhysical gpa) {
  return {gpa.page(), page_size};
}

// The guest's RAM, as measured with the SVSM; the SVSM's own memory is part of it.
struct MemoryMap {
  static constexpr usize max_stretches = 8;
  Stretch ram[max_stretches];
  usize stretches = 0;
  Stretch own;

  constexpr bool is_ram(const Stretch& range) const {
    for (usize i = 0; i < stretches; ++i) {
      if (ram[i].contains(range)) {
        return true;
      }
    }
    return false;
  }
};

}  // namespace softsnp::svsm
