// Which guest pages were ever validated, by the launch or by the guest's PVALIDATE. Counts for one
// guest; a page is a guest-physical one, so that its validation is told apart from that of another
// page the host puts in its place.
#pragma once

#include <bitset>
#include <map>

#include "machine/cpu/system/events.hpp"
#include "machine/memory/events.hpp"

namespace softsnp::observe {

class Validation {
 public:
  struct BySize {
    u64 large = 0, small = 0;  // instructions, of 2 MiB and of 4 KiB
  };

  void rmp_changed(const memory::RmpChange& change);
  void rmp_instruction(const cpu::RmpInstructionEvent& event);

  const BySize& made_valid() const { return made_valid_; }
  const BySize& rescinded() const { return rescinded_; }
  // Pages of 4 KiB, each counted once however often it changed.
  u64 launched_pages() const { return launched_pages_; }
  u64 accepted_pages() const { return accepted_pages_; }  // by the guest, not launched
  // PVALIDATEs of a page that was valid by the guest's own doing: it had been launched or validated
  // and not rescinded since. Whether the RMP still knew (carry) or the host had replaced the page
  // makes no difference: such a guest can be shown two contents for one address.
  u64 validated_twice() const { return validated_twice_; }

 private:
  static constexpr usize pages_per_block = large_page_size / page_size;
  struct Block {
    std::bitset<pages_per_block> valid, ever;
  };
  Block& block_of(GuestPhysical page) { return blocks_[page.value() / large_page_size]; }
  // Calls what(block, index) for each 4 KiB page.
  template <class What>
  void each_page(GuestPhysical gpa, PageSize size, What what);

  std::map<u64, Block> blocks_;
  BySize made_valid_, rescinded_;
  u64 launched_pages_ = 0, accepted_pages_ = 0, validated_twice_ = 0;
};

}  // namespace softsnp::observe
