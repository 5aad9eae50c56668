#include "image/unaccepted.hpp"

#include <algorithm>
#include <cstring>

#include "arch/boot/efi.hpp"

namespace softsnp::image {
namespace {

namespace efi = boot::efi;

bool is_blocks(const LaunchRegion& region) {
  return region.gpa.is_large_page_aligned() && is_aligned(region.length, large_page_size);
}

std::vector<RamRange> cut_out(const std::vector<RamRange>& ranges, RamRange hole) {
  std::vector<RamRange> rest;
  for (const RamRange& range : ranges) {
    const GuestPhysical before = std::min(range.end(), hole.start);
    const GuestPhysical behind = std::max(range.start, hole.end());
    if (range.start < before) {
      rest.push_back({range.start, before - range.start});
    }
    if (behind < range.end()) {
      rest.push_back({behind, range.end() - behind});
    }
  }
  return rest;
}

RamRange whole_blocks_around(RamRange range) {
  const GuestPhysical start = range.start.large_page();
  return {start, align_up(range.end().value(), large_page_size) - start.value()};
}

}  // namespace

// A compiler loads the GUID as two immediates of eight bytes, or from one constant.
bool accepts_memory(std::span<const u8> kernel) {
  const std::span<const u8> guid(efi::unaccepted_memory_guid.bytes);
  const auto holds = [&](std::span<const u8> half) {
    return std::search(kernel.begin(), kernel.end(), half.begin(), half.end()) != kernel.end();
  };
  return holds(guid.first(8)) && holds(guid.last(8));
}

std::vector<RamRange> unaccepted_blocks(const std::vector<LaunchRegion>& regions,
                                        const std::vector<RamRange>& needed) {
  std::vector<RamRange> result;
  for (const LaunchRegion& region : regions) {
    if (region.type == PageType::zero && is_blocks(region)) {
      result.push_back({region.gpa, region.length});
    }
  }
  for (const RamRange& range : needed) {
    result = cut_out(result, whole_blocks_around(range));
  }
  return result;
}

std::vector<LaunchRegion> without(std::vector<LaunchRegion> regions,
                                  const std::vector<RamRange>& unaccepted) {
  std::vector<LaunchRegion> result;
  auto next = unaccepted.begin();
  for (LaunchRegion& region : regions) {
    const GuestPhysical end = region.gpa + region.length;
    if (next == unaccepted.end() || next->start >= end) {
      result.push_back(std::move(region));
      continue;
    }
    GuestPhysical at = region.gpa;
    for (; next != unaccepted.end() && next->start < end; ++next) {
      if (at < next->start) {
        result.push_back({at, next->start - at, region.type, region.vmpl_permissions, {}});
      }
      at = next->end();
    }
    if (at < end) {
      result.push_back({at, end - at, region.type, region.vmpl_permissions, {}});
    }
  }
  return result;
}

std::vector<u8> unaccepted_table(const std::vector<RamRange>& unaccepted) {
  const GuestPhysical base = unaccepted.front().start;
  const u64 units = (unaccepted.back().end() - base) / efi::unaccepted_unit;
  const efi::UnacceptedMemory header{1, efi::unaccepted_unit, base.value(), (units + 7) / 8};
  std::vector<u8> table(sizeof header + header.bitmap_size);
  std::memcpy(table.data(), &header, sizeof header);
  for (const RamRange& range : unaccepted) {
    const u64 first = (range.start - base) / efi::unaccepted_unit;
    for (u64 unit = first; unit < first + range.length / efi::unaccepted_unit; ++unit) {
      table[sizeof header + unit / 8] |= static_cast<u8>(1 << (unit % 8));
    }
  }
  return table;
}

}  // namespace softsnp::image
