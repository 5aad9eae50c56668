#include "hypervisor/host/page_mover.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "hypervisor/host/numa.hpp"

namespace softsnp::host {
namespace {

using PageBytes = std::array<u8, page_size>;
constexpr u64 pages_per_frame = large_page_size / page_size;

u64 hash_of(const PageBytes& bytes) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

void PageMover::count(MoveResult result, u64 pages, u64 MoveReport::*done, MoveReport& report) {
  switch (result) {
    case MoveResult::done:
      report.*done += pages;
      return;
    case MoveResult::pinned:
      report.pinned += pages;
      return;
    case MoveResult::in_rmp:
      report.in_rmp += pages;
      return;
    case MoveResult::guest_memfd:
      report.guest_memfd += pages;
      return;
    case MoveResult::no_memory:
      report.no_memory += pages;
      return;
    case MoveResult::nothing:
      return;
  }
}

// One page, or the 2 MiB that it is part of. False: no page below is free.
bool PageMover::push_down(SystemPhysical page, SystemPhysical& limit, MoveReport& report) {
  limit = page;
  const auto mappings = users_.pages().mappings(page);
  const auto mapped = mappings.empty() ? std::nullopt : users_.find(mappings.front());
  if (mapped && mapped->whole) {
    const SystemPhysical frame = page.large_page();
    const MoveResult whole =
        users_.migrate_whole(mappings.front().large_page(), {SystemPhysical(0), frame.value()});
    if (whole == MoveResult::done || whole == MoveResult::no_memory) {
      limit = frame;
      count(whole, pages_per_frame, &MoveReport::moved, report);
      return true;
    }
  }
  const MoveResult result = users_.migrate(page, {SystemPhysical(0), page.value()});
  if (result == MoveResult::no_memory) {
    return false;
  }
  count(result, 1, &MoveReport::moved, report);
  return true;
}

MoveReport PageMover::compact() {
  MoveReport report;
  SystemPhysical limit(memory_.port().dram_bytes());
  for (auto page = users_.pages().highest_below(limit); page;
       page = users_.pages().highest_below(limit)) {
    if (!push_down(*page, limit, report)) {
      break;
    }
  }
  return add(report);
}

MoveReport PageMover::migrate(HostVirtual first, u64 bytes, unsigned node) {
  const u64 dram = memory_.port().dram_bytes();
  MoveReport report;
  for (HostVirtual at = first.page(); at < first + bytes;) {
    const auto found = users_.find(at);
    if (!found || node_of(found->page, dram) == node) {
      at = at + page_size;
      continue;
    }
    const bool whole =
        found->whole && at.is_large_page_aligned() && first + bytes - at >= large_page_size;
    const auto target = node_range(node, dram);
    if (whole && users_.migrate_whole(at, target) == MoveResult::done) {
      report.moved += pages_per_frame;
      at = at + large_page_size;
      continue;
    }
    count(users_.migrate(found->page, target), 1, &MoveReport::moved, report);
    at = at + page_size;
  }
  return add(report);
}

MoveReport PageMover::swap_out(HostVirtual first, u64 bytes) {
  MoveReport report;
  for (HostVirtual at = first.page(); at < first + bytes; at = at + page_size) {
    count(users_.swap_out(at), 1, &MoveReport::swapped_out, report);
  }
  return add(report);
}

MoveReport PageMover::swap_in(HostVirtual first, u64 bytes) {
  MoveReport report;
  for (HostVirtual at = first.page(); at < first + bytes; at = at + page_size) {
    if (!users_.is_swapped(at)) {
      continue;
    }
    if (users_.fault(at, UserMemory::Access::read, PageSize::size_4k)) {
      ++report.swapped_in;
    } else {
      ++report.no_memory;
    }
  }
  return add(report);
}

void PageMover::merge_page(HostVirtual at, std::multimap<u64, HostVirtual>& known,
                           MoveReport& report) {
  const auto found = users_.find(at);
  if (!found) {
    return;
  }
  if (const MoveResult verdict = users_.may_move(found->page); verdict != MoveResult::done) {
    count(verdict, 1, &MoveReport::merged, report);
    return;
  }
  PageBytes bytes;
  memory_.load_own(found->page, bytes);
  const u64 hash = hash_of(bytes);
  for (auto [it, end] = known.equal_range(hash); it != end; ++it) {
    PageBytes other;
    memory_.load_own(users_.find(it->second)->page, other);
    if (other == bytes) {
      count(users_.merge(it->second, at), 1, &MoveReport::merged, report);
      return;
    }
  }
  known.emplace(hash, at);
}

MoveReport PageMover::merge(std::span<const UserMemory::Block> ranges) {
  MoveReport report;
  std::multimap<u64, HostVirtual> known;
  for (const UserMemory::Block& range : ranges) {
    for (HostVirtual at = range.first.page(); at < range.first + range.bytes; at = at + page_size) {
      merge_page(at, known, report);
    }
  }
  return add(report);
}

}  // namespace softsnp::host
