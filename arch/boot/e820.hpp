// The BIOS memory map as boot_params and Multiboot carry it. linux-boot sheet 1.5; ACPI 6.5 15.
// Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::boot {

enum class E820Type : u32 { ram = 1, reserved = 2, acpi = 3, nvs = 4, unusable = 5 };

struct __attribute__((packed)) E820Entry {
  u64 base;
  u64 size;
  E820Type type;
};
static_assert(sizeof(E820Entry) == 20);

inline constexpr usize e820_max_entries = 128;

}  // namespace softsnp::boot
