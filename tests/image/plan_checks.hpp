// What must hold for every plan, whatever the file: written from the issue and linux-boot sheet
// 1.8, not from the builder.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "image/image.hpp"

namespace softsnp::image::checks {

// The regions, and what is left unaccepted as if it were launched as zeros.
inline std::vector<LaunchRegion> all_regions(const LaunchPlan& plan) {
  std::vector<LaunchRegion> all = plan.regions;
  for (const RamRange& range : plan.unaccepted) {
    all.push_back({range.start, range.length, PageType::zero, {}, {}});
  }
  std::sort(all.begin(), all.end(),
            [](const LaunchRegion& a, const LaunchRegion& b) { return a.gpa < b.gpa; });
  return all;
}

// Empty, or the first property that does not hold.
inline std::string broken_invariant(const LaunchPlan& plan) {
  u64 expected_page = 0;
  usize range = 0;
  const auto where = [](const LaunchRegion& region) { return " at " + hex(region.gpa.value()); };
  for (const LaunchRegion& region : all_regions(plan)) {
    if (region.length == 0 || region.length % 4096 != 0 || !region.gpa.is_page_aligned()) {
      return "not whole pages" + where(region);
    }
    if (region.bytes.size() != (has_bytes(region.type) ? region.length : 0)) {
      return "bytes do not match the length" + where(region);
    }
    if (region.gpa.value() != expected_page) {
      return "a gap or an overlap before" + where(region);
    }
    const bool large = region.length % large_page_size == 0 && region.gpa.is_large_page_aligned();
    const u64 first_block = align_up(region.gpa.value(), large_page_size);
    if (!large && region.gpa.value() + region.length >= first_block + large_page_size) {
      return "holds a whole 2 MiB block without being made of them" + where(region);
    }
    if (plan.mode == Mode::plain &&
        (region.type == PageType::secrets || region.type == PageType::cpuid)) {
      return "a CC page in a plain guest" + where(region);
    }
    expected_page += region.length;
    // Skip the holes: VGA window, device window.
    if (range < plan.ram.size() && expected_page == plan.ram[range].end().value()) {
      ++range;
      expected_page = range < plan.ram.size() ? plan.ram[range].start.value() : ~u64{0};
    }
  }
  if (range != plan.ram.size()) {
    return "RAM is not covered to its end";
  }
  return "";
}

// The byte at gpa as the guest will see it; nullopt outside the plan and in firmware pages.
inline std::optional<u8> byte_at(const LaunchPlan& plan, u64 gpa) {
  for (const LaunchRegion& region : plan.regions) {
    if (gpa >= region.gpa.value() && gpa - region.gpa.value() < region.length) {
      if (region.type == PageType::zero) {
        return u8{0};
      }
      return has_bytes(region.type) ? std::optional<u8>(region.bytes[gpa - region.gpa.value()])
                                    : std::nullopt;
    }
  }
  return std::nullopt;
}

template <class T>
T load(const LaunchPlan& plan, u64 gpa) {
  u8 bytes[sizeof(T)];
  for (usize i = 0; i < sizeof(T); ++i) {
    bytes[i] = byte_at(plan, gpa + i).value();
  }
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace softsnp::image::checks
