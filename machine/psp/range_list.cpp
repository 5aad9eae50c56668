#include "machine/psp/range_list.hpp"

#include "arch/psp/platform_buffers.hpp"

namespace softsnp::psp {

namespace {

constexpr u64 physical_limit = u64{1} << 52;

std::optional<PageRange> decode(const RangeListEntry& entry, u64 base_alignment) {
  const u64 bytes = u64{entry.page_count} * page_size;
  if (entry.mbz != 0 || !is_aligned(entry.base, base_alignment) || entry.base >= physical_limit ||
      bytes > physical_limit - entry.base) {
    return std::nullopt;
  }
  return PageRange{SystemPhysical(entry.base), entry.page_count};
}

}  // namespace

std::optional<std::vector<PageRange>> read_range_list(FirmwarePort& port, SystemPhysical list,
                                                      u64 base_alignment) {
  RangeListHeader header{};
  if (!port.read_value(list, header) || header.count > RangeListHeader::max_count ||
      header.mbz != 0 ||
      list.page_offset() + sizeof header + header.count * sizeof(RangeListEntry) > page_size) {
    return std::nullopt;
  }
  std::vector<PageRange> ranges;
  for (u32 at = 0; at < header.count; ++at) {
    RangeListEntry entry{};
    if (!port.read_value(list + sizeof header + at * sizeof entry, entry)) {
      return std::nullopt;
    }
    const std::optional<PageRange> range = decode(entry, base_alignment);
    if (!range) {
      return std::nullopt;
    }
    ranges.push_back(*range);
  }
  return ranges;
}

}  // namespace softsnp::psp
