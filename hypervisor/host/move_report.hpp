// What a round of the page mover did, in pages of 4 KiB.
#pragma once

#include "base/types.hpp"

namespace softsnp::host {

struct MoveReport {
  u64 moved = 0;  // compaction, migration
  u64 swapped_out = 0, swapped_in = 0;
  u64 merged = 0;  // pages freed because another has the same content
  // Refused, EBUSY: somebody holds the page; the RMP has it; a guest_memfd has it, whose pages only
  // the firmware can move.
  u64 pinned = 0, in_rmp = 0, guest_memfd = 0;
  u64 no_memory = 0;

  MoveReport& operator+=(const MoveReport& other) {
    moved += other.moved;
    swapped_out += other.swapped_out;
    swapped_in += other.swapped_in;
    merged += other.merged;
    pinned += other.pinned;
    in_rmp += other.in_rmp;
    guest_memfd += other.guest_memfd;
    no_memory += other.no_memory;
    return *this;
  }
  friend bool operator==(const MoveReport&, const MoveReport&) = default;
};

}  // namespace softsnp::host
