#include "image/efi_memory_map.hpp"

#include <algorithm>

#include "image/low_memory.hpp"

namespace softsnp::image {
namespace {

namespace efi = boot::efi;
using efi::MemoryType;

struct Stretch {
  u64 start = 0, end = 0;
  MemoryType type = MemoryType::reserved;
};

MemoryType type_of(boot::E820Type type) {
  switch (type) {
    case boot::E820Type::ram:
      return MemoryType::conventional;
    case boot::E820Type::acpi:
      return MemoryType::acpi_reclaim;
    case boot::E820Type::reserved:
    case boot::E820Type::nvs:
    case boot::E820Type::unusable:
      break;
  }
  return MemoryType::reserved;
}

Stretch whole_pages(GuestPhysical start, u64 length, MemoryType type) {
  return {start.page().value(), align_up(start.value() + length, page_size), type};
}

// What lies over it hides what lies under it.
std::vector<Stretch> layers(const LaunchPlan& plan) {
  std::vector<Stretch> result;
  // The ROM area is RAM that e820 does not mention.
  for (const RamRange& range : plan.ram) {
    result.push_back({range.start.value(), range.end().value(), MemoryType::reserved});
  }
  for (const boot::E820Entry& entry : plan.e820) {
    result.push_back({entry.base, entry.base + entry.size, type_of(entry.type)});
  }
  for (const RamRange& range : plan.unaccepted) {
    result.push_back({range.start.value(), range.end().value(), MemoryType::unaccepted});
  }
  const Layout& at = plan.layout;
  result.push_back({0, low::cc_blob.value(), MemoryType::loader_data});
  result.push_back(
      whole_pages(at.kernel_start, at.kernel_end - at.kernel_start, MemoryType::loader_data));
  result.push_back(whole_pages(at.initrd, at.initrd_size, MemoryType::loader_data));
  result.push_back(whole_pages(low::efi_runtime_data, page_size, MemoryType::runtime_data));
  result.push_back(whole_pages(low::efi_runtime_code, page_size, MemoryType::runtime_code));
  return result;
}

std::vector<u64> ends_of(const std::vector<Stretch>& stretches) {
  std::vector<u64> ends;
  for (const Stretch& stretch : stretches) {
    ends.push_back(stretch.start);
    ends.push_back(stretch.end);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

efi::MemoryDescriptor descriptor(const Stretch& stretch) {
  const bool is_runtime =
      stretch.type == MemoryType::runtime_code || stretch.type == MemoryType::runtime_data;
  return {stretch.type,
          0,
          stretch.start,
          stretch.start,
          (stretch.end - stretch.start) / page_size,
          efi::memory_write_back | (is_runtime ? efi::memory_runtime : 0)};
}

}  // namespace

std::vector<efi::MemoryDescriptor> efi_memory_map(const LaunchPlan& plan) {
  const std::vector<Stretch> all = layers(plan);
  const std::vector<u64> ends = ends_of(all);
  std::vector<efi::MemoryDescriptor> map;
  Stretch last;
  for (usize i = 0; i + 1 < ends.size(); ++i) {
    const auto top = std::find_if(all.rbegin(), all.rend(), [&](const Stretch& stretch) {
      return stretch.start <= ends[i] && ends[i + 1] <= stretch.end;
    });
    if (top == all.rend()) {
      continue;
    }
    const bool goes_on = !map.empty() && last.end == ends[i] && last.type == top->type;
    last = {goes_on ? last.start : ends[i], ends[i + 1], top->type};
    if (goes_on) {
      map.pop_back();
    }
    map.push_back(descriptor(last));
  }
  return map;
}

}  // namespace softsnp::image
