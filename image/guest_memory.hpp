// Guest memory while a plan is made: pieces are put in anywhere, then turned into regions that
// cover all RAM exactly once, in whole 2 MiB blocks wherever nothing forbids it.
#pragma once

#include <span>
#include <vector>

#include "image/launch_plan.hpp"

namespace softsnp::image {

enum class Contents : u8 { filled_in, left_out };

class GuestMemory {
 public:
  explicit GuestMemory(std::vector<RamRange> ram) : ram_(std::move(ram)) {}

  // Copies bytes to gpa. False if it overlaps an earlier piece or leaves RAM; nothing is changed.
  [[nodiscard]] bool put(GuestPhysical gpa, std::span<const u8> bytes);
  // A whole page that is not of type normal. bytes: empty or page_size.
  [[nodiscard]] bool put_page(GuestPhysical gpa, PageType type, std::vector<u8> bytes);

  // Ascending; each page of RAM once. Blocks of 2 MiB that hold any normal bytes become normal as
  // a whole, so that they can be launched, mapped and tracked as one large page.
  std::vector<LaunchRegion> regions(Contents contents) const;

 private:
  struct Piece {
    GuestPhysical start;
    u64 length = 0;
    PageType type = PageType::normal;
    std::vector<u8> bytes;

    GuestPhysical end() const { return start + length; }
  };
  struct Extent {
    GuestPhysical start, end;
    PageType type = PageType::zero;
  };

  bool insert(Piece piece);
  const RamRange* range_of(GuestPhysical gpa) const;
  Extent page_extent(const Piece& piece) const;
  std::vector<Extent> extents() const;
  void fill(LaunchRegion& region) const;

  std::vector<RamRange> ram_;
  std::vector<Piece> pieces_;  // ascending, disjoint
};

}  // namespace softsnp::image
