#include "image/guest_memory.hpp"

#include <algorithm>
#include <iterator>

namespace softsnp::image {
namespace {

GuestPhysical page_up(GuestPhysical gpa) {
  return GuestPhysical(align_up(gpa.value(), page_size));
}

// Cuts [start, end) where 4 KiB pages give way to whole 2 MiB blocks and back.
std::vector<GuestPhysical> cuts(GuestPhysical start, GuestPhysical end) {
  const GuestPhysical first_block(align_up(start.value(), large_page_size));
  const GuestPhysical last_block = end.large_page();
  std::vector<GuestPhysical> result{start};
  if (first_block < last_block) {
    result.push_back(first_block);
    result.push_back(last_block);
  }
  result.push_back(end);
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

}  // namespace

bool GuestMemory::put(GuestPhysical gpa, std::span<const u8> bytes) {
  return bytes.empty() ||
         insert({gpa, bytes.size(), PageType::normal, {bytes.begin(), bytes.end()}});
}

bool GuestMemory::put_page(GuestPhysical gpa, PageType type, std::vector<u8> bytes) {
  return insert({gpa, page_size, type, std::move(bytes)});
}

const RamRange* GuestMemory::range_of(GuestPhysical gpa) const {
  for (const RamRange& range : ram_) {
    if (gpa >= range.start && gpa < range.end()) {
      return &range;
    }
  }
  return nullptr;
}

bool GuestMemory::insert(Piece piece) {
  const RamRange* range = range_of(piece.start);
  if (range == nullptr || piece.length > range->end() - piece.start) {
    return false;
  }
  const auto next =
      std::lower_bound(pieces_.begin(), pieces_.end(), piece.start,
                       [](const Piece& p, GuestPhysical start) { return p.start < start; });
  if (next != pieces_.end() && piece.end() > next->start) {
    return false;
  }
  if (next != pieces_.begin() && std::prev(next)->end() > piece.start) {
    return false;
  }
  pieces_.insert(next, std::move(piece));
  return true;
}

GuestMemory::Extent GuestMemory::page_extent(const Piece& piece) const {
  Extent extent{piece.start.page(), page_up(piece.end()), piece.type};
  if (piece.type != PageType::normal) {
    return extent;
  }
  // The first block is cut by the VGA window and holds the special pages: never one large page.
  const RamRange& range = *range_of(piece.start);
  const GuestPhysical block_start = extent.start.large_page();
  if (block_start >= range.start && block_start.value() != 0) {
    extent.start = block_start;
  }
  const GuestPhysical block_end(align_up(extent.end.value(), large_page_size));
  if (block_end <= range.end() && extent.end.large_page() >= range.start) {
    extent.end = block_end;
  }
  return extent;
}

std::vector<GuestMemory::Extent> GuestMemory::extents() const {
  std::vector<Extent> result;
  for (const Piece& piece : pieces_) {
    const Extent extent = page_extent(piece);
    if (!result.empty() && extent.type == result.back().type && extent.start < result.back().end) {
      result.back().end = std::max(result.back().end, extent.end);
    } else {
      result.push_back(extent);
    }
  }
  return result;
}

void GuestMemory::fill(LaunchRegion& region) const {
  region.bytes.assign(region.length, 0);
  const GuestPhysical end = region.gpa + region.length;
  for (const Piece& piece : pieces_) {
    const GuestPhysical from = std::max(piece.start, region.gpa);
    const GuestPhysical to = std::min(piece.end(), end);
    if (from < to) {
      std::copy_n(piece.bytes.begin() + static_cast<std::ptrdiff_t>(from - piece.start), to - from,
                  region.bytes.begin() + static_cast<std::ptrdiff_t>(from - region.gpa));
    }
  }
}

std::vector<LaunchRegion> GuestMemory::regions(Contents contents) const {
  std::vector<LaunchRegion> result;
  const auto emit = [&](GuestPhysical start, GuestPhysical end, PageType type) {
    const std::vector<GuestPhysical> at = cuts(start, end);
    for (usize i = 0; i + 1 < at.size(); ++i) {
      LaunchRegion region{at[i], at[i + 1] - at[i], type, {}, {}};
      if (contents == Contents::filled_in && has_bytes(type)) {
        fill(region);
      }
      result.push_back(std::move(region));
    }
  };
  const std::vector<Extent> used = extents();
  auto next = used.begin();
  for (const RamRange& range : ram_) {
    GuestPhysical at = range.start;
    for (; next != used.end() && next->start < range.end(); ++next) {
      emit(at, next->start, PageType::zero);
      emit(next->start, next->end, next->type);
      at = next->end;
    }
    emit(at, range.end(), PageType::zero);
  }
  return result;
}

}  // namespace softsnp::image
