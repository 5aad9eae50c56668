#include "vmm/memory_conversion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace softsnp::vmm {
namespace {

constexpr u64 hypercall_map_gpa_range = 12;
constexpr u64 flag_private = 0x10;
// Linux Documentation/virt/kvm/x86/hypercalls.rst: [3:0] size, 4 encryption, rest reserved.
constexpr u64 known_flags = 0x1F;
constexpr u64 size_1g = 2;

// A page that faults this often in a row, each time within so little time, is fought over by two
// mappings of the guest; converting it once more would go on for ever.
constexpr u32 most_repeats = 64;
constexpr u64 little_time = 2000;  // per repeat, in ticks

}  // namespace

// Addresses without RAM are shared for good (MMIO): making them so succeeds silently, making them
// private fails before anything changes. Linux relies on the former.
Result<void, kvm::Error> MemoryConversion::convert(GuestPhysical start, GuestPhysical end,
                                                   bool to_private) {
  const auto holds_all = [&](const image::RamRange& range) {
    return range.start <= start && end <= range.end();
  };
  if (to_private && std::none_of(ram_.begin(), ram_.end(), holds_all)) {
    return Failure{kvm::Error{EINVAL, 0, "no RAM there"}};
  }
  for (const image::RamRange& range : ram_) {
    const GuestPhysical from = std::max(start, range.start);
    const GuestPhysical to = std::min(end, range.end());
    if (from >= to) {
      continue;
    }
    if (auto done = vm_.set_private(from, to - from, to_private); !done) {
      return done;
    }
  }
  return {};
}

u64 MemoryConversion::map_gpa_range(const kvm::HypercallExit& exit) {
  const auto [start, pages, flags] = exit.args;
  if (exit.nr != hypercall_map_gpa_range) {
    return ENOSYS;
  }
  if ((flags & ~known_flags) != 0 || (flags & 0xF) > size_1g) {
    return EINVAL;
  }
  GuestPhysical end(start);
  if (!end.is_page_aligned() || pages == 0 || pages > (~u64{0} >> page_shift) ||
      !end.checked_add(pages << page_shift)) {
    return EINVAL;
  }
  const auto done = convert(GuestPhysical(start), end, (flags & flag_private) != 0);
  return done ? 0 : static_cast<u64>(done.error().number);
}

bool MemoryConversion::repeats_without_progress(GuestPhysical page) {
  const u64 now = vm_.now();
  if (page != last_.page || now - last_.since > (u64{last_.repeats} + 1) * little_time) {
    last_ = {page, now, 0};
    return false;
  }
  return ++last_.repeats >= most_repeats;
}

std::optional<std::string> MemoryConversion::memory_fault(const kvm::MemoryFaultExit& exit) {
  const GuestPhysical page = exit.address.page();
  if (repeats_without_progress(page)) {
    return fmt::format(
        "the guest uses page {:#x} as private and as shared memory in turn: {} conversions without "
        "progress",
        page.value(), last_.repeats);
  }
  GuestPhysical end = exit.address;
  if (!end.checked_add(exit.size == 0 ? 1 : exit.size) || !end.checked_add(page_offset_mask)) {
    return fmt::format("memory fault at {:#x} reaches beyond the address space",
                       exit.address.value());
  }
  const auto done = convert(page, end.page(), exit.is_private);
  if (!done) {
    return fmt::format("the guest accessed {:#x} as {} memory, which it cannot become: {}",
                       exit.address.value(), exit.is_private ? "private" : "shared",
                       done.error().what);
  }
  return std::nullopt;
}

}  // namespace softsnp::vmm
