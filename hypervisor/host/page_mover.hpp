// The host kernel moves pages of RAM blocks as it likes: compaction, NUMA migration, swapping,
// same-page merging. Each only when asked for, in an order that the addresses decide. It moves what
// the bus shows; whoever has said by a pin that this is not enough is left alone.
#pragma once

#include "hypervisor/host/move_report.hpp"
#include "hypervisor/host/user_memory.hpp"

namespace softsnp::host {

class PageMover {
 public:
  PageMover(HostMemory& memory, UserMemory& users) : memory_(memory), users_(users) {}

  // All pages downwards, those with the highest addresses first (Linux: compact_memory).
  MoveReport compact();
  // Of a range: what lies on another node (move_pages).
  MoveReport migrate(HostVirtual first, u64 bytes, unsigned node);
  MoveReport swap_out(HostVirtual first, u64 bytes);
  MoveReport swap_in(HostVirtual first, u64 bytes);
  // Pages with the same content become one (KSM): those of all ranges together.
  MoveReport merge(std::span<const UserMemory::Block> ranges);

  const MoveReport& totals() const { return totals_; }

 private:
  using MoveResult = UserMemory::MoveResult;
  bool push_down(SystemPhysical page, SystemPhysical& limit, MoveReport& report);
  void merge_page(HostVirtual at, std::multimap<u64, HostVirtual>& known, MoveReport& report);
  static void count(MoveResult result, u64 pages, u64 MoveReport::*done, MoveReport& report);
  MoveReport add(const MoveReport& report) {
    totals_ += report;
    return report;
  }

  HostMemory& memory_;
  UserMemory& users_;
  MoveReport totals_;
};

}  // namespace softsnp::host
