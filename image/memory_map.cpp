#include "image/memory_map.hpp"

#include <algorithm>

#include "arch/boot/platform.hpp"
#include "image/low_memory.hpp"

namespace softsnp::image {
namespace {

namespace platform = boot::platform;

constexpr GuestPhysical vga_base{platform::vga_hole_base};
constexpr GuestPhysical vga_end{platform::vga_hole_end};
constexpr GuestPhysical high_base{platform::high_ram_base};

boot::E820Entry entry(GuestPhysical start, GuestPhysical end, boot::E820Type type) {
  return {start.value(), end - start, type};
}

}  // namespace

GuestPhysical low_ram_end(u64 size) {
  return GuestPhysical(std::min(size, platform::low_ram_limit));
}

std::vector<RamRange> ram_ranges(u64 size) {
  const GuestPhysical low_end = low_ram_end(size);
  std::vector<RamRange> ranges{{GuestPhysical(0), vga_base.value()}, {vga_end, low_end - vga_end}};
  if (size > platform::low_ram_limit) {
    ranges.push_back({high_base, size - platform::low_ram_limit});
  }
  return ranges;
}

std::vector<boot::E820Entry> e820_map(u64 size, Mode mode, Acceptance acceptance) {
  using boot::E820Type;
  std::vector<boot::E820Entry> map;
  if (mode == Mode::snp || mode == Mode::sev_es) {
    // The CC pages and the AP jump table are mapped late by an encrypted ioremap, which refuses
    // System RAM.
    map.push_back(entry(GuestPhysical(0), low::cc_blob, E820Type::ram));
    map.push_back(entry(low::cc_blob, low::end, E820Type::reserved));
    map.push_back(entry(low::end, free_low_end(acceptance), E820Type::ram));
  } else {
    map.push_back(entry(GuestPhysical(0), low::ram_end, E820Type::ram));
  }
  if (acceptance == Acceptance::lazy) {
    map.push_back(entry(low::efi_runtime_data, low::efi_tables, E820Type::reserved));
    map.push_back(entry(low::efi_tables, low::ram_end, E820Type::acpi));
  }
  map.push_back(entry(low::ram_end, vga_base, E820Type::reserved));
  // Type 3: a late ioremap of type 2 would be made without the C-bit.
  map.push_back(entry(low::acpi, low::acpi_end, E820Type::acpi));
  map.push_back(entry(low::acpi_end, low::one_mib, E820Type::reserved));
  map.push_back(entry(low::one_mib, low_ram_end(size), E820Type::ram));
  if (size > platform::low_ram_limit) {
    map.push_back({platform::high_ram_base, size - platform::low_ram_limit, E820Type::ram});
  }
  return map;
}

GuestPhysical free_low_end(Acceptance acceptance) {
  return acceptance == Acceptance::lazy ? low::efi_runtime_data : low::ram_end;
}

bool is_free_ram(u64 memory_size, Acceptance acceptance, GuestPhysical start, u64 length) {
  GuestPhysical end = start;
  if (!end.checked_add(length)) {
    return false;
  }
  return (start >= low::end && end <= free_low_end(acceptance)) ||
         (start >= low::one_mib && end <= low_ram_end(memory_size));
}

}  // namespace softsnp::image
