// One page from here to there, by what the host sees of it: for an encrypted guest's page that is
// ciphertext, which means nothing at another address.
#include <algorithm>
#include <array>

#include "hypervisor/host/user_memory.hpp"

namespace softsnp::host {
namespace {
bool is_zero(std::span<const u8> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](u8 byte) { return byte == 0; });
}
}  // namespace

// What Linux asks before it isolates a page for migration (folio_maybe_dma_pinned, the mapping's
// AS_UNMOVABLE), and what an SNP host has to ask besides.
UserMemory::MoveResult UserMemory::may_move(SystemPhysical page) const {
  switch (pages_.kind(page)) {
    case UserPages::Kind::none:
      return MoveResult::nothing;
    case UserPages::Kind::guest_memfd:
      return MoveResult::guest_memfd;
    case UserPages::Kind::user:
      break;
  }
  if (pages_.pins(page) != 0) {
    return MoveResult::pinned;
  }
  return memory_.direct_map().is_assigned(page) ? MoveResult::in_rmp : MoveResult::done;
}

// The new page is zero already.
void UserMemory::copy(SystemPhysical from, SystemPhysical to) {
  std::array<u8, page_size> bytes;
  memory_.load_own(from, bytes);
  if (!is_zero(bytes)) {
    memory_.store_own(to, bytes);
  }
}

void UserMemory::remap(HostVirtual at, SystemPhysical from, SystemPhysical to) {
  Mapped& block = *find_block(at);
  const u64 offset = at - block.first;
  block.table.set(offset, Pte::present(to, block.table.find(offset).is_writable()));
  pages_.map(to, at);
  if (pages_.unmap(from, at)) {
    memory_.release(from, PageSize::size_4k);
  }
}

UserMemory::MoveResult UserMemory::migrate(SystemPhysical page, const Range& target) {
  if (const MoveResult verdict = may_move(page); verdict != MoveResult::done) {
    return verdict;
  }
  const auto fresh = memory_.allocate_within(PageSize::size_4k, target);
  if (!fresh) {
    return MoveResult::no_memory;
  }
  const std::vector<HostVirtual> mappings = pages_.mappings(page);
  for (const HostVirtual at : mappings) {
    notify(at, page_size);
  }
  copy(page, *fresh);
  for (const HostVirtual at : mappings) {
    remap(at, page, *fresh);
  }
  return MoveResult::done;
}

UserMemory::MoveResult UserMemory::migrate_whole(HostVirtual frame, const Range& target) {
  Mapped* block = find_block(frame);
  const u64 offset = block != nullptr ? frame - block->first : 0;
  if (block == nullptr || !block->table.is_whole(offset)) {
    return MoveResult::nothing;
  }
  const SystemPhysical old = block->table.find(offset).page();
  for (u64 at = 0; at < large_page_size; at += page_size) {
    if (const MoveResult verdict = may_move(old + at); verdict != MoveResult::done) {
      return verdict;
    }
  }
  const auto fresh = memory_.allocate_within(PageSize::size_2m, target);
  if (!fresh) {
    return MoveResult::no_memory;
  }
  notify(frame, large_page_size);
  for (u64 at = 0; at < large_page_size; at += page_size) {
    copy(old + at, *fresh + at);
    pages_.map(*fresh + at, frame + at);
    (void)pages_.unmap(old + at, frame + at);
  }
  block->table.set_whole(offset, *fresh);
  memory_.release(old, PageSize::size_2m);
  return MoveResult::done;
}

UserMemory::MoveResult UserMemory::swap_out(HostVirtual at) {
  const auto found = find(at);
  if (!found) {
    return MoveResult::nothing;
  }
  if (const MoveResult verdict = may_move(found->page); verdict != MoveResult::done) {
    return verdict;
  }
  const std::vector<HostVirtual> mappings = pages_.mappings(found->page);
  for (const HostVirtual mapping : mappings) {
    notify(mapping, page_size);
  }
  std::array<u8, page_size> bytes;
  memory_.load_own(found->page, bytes);
  const u64 slot = swap_.put(bytes);
  for (usize i = 0; i < mappings.size(); ++i) {
    if (i != 0) {
      swap_.share(slot);
    }
    Mapped& block = *find_block(mappings[i]);
    block.table.set(mappings[i] - block.first, Pte::swapped(slot));
    if (pages_.unmap(found->page, mappings[i])) {
      memory_.release(found->page, PageSize::size_4k);
    }
  }
  return MoveResult::done;
}

void UserMemory::write_protect(SystemPhysical page) {
  for (const HostVirtual at : pages_.mappings(page)) {
    notify(at, page_size);
    Mapped& block = *find_block(at);
    block.table.set(at - block.first, Pte::present(page, false));
  }
}

UserMemory::MoveResult UserMemory::merge(HostVirtual kept, HostVirtual merged) {
  const auto stays = find(kept);
  const auto goes = find(merged);
  if (!stays || !goes || stays->page == goes->page) {
    return MoveResult::nothing;
  }
  for (const SystemPhysical page : {stays->page, goes->page}) {
    if (const MoveResult verdict = may_move(page); verdict != MoveResult::done) {
      return verdict;
    }
  }
  if (stays->writable) {
    write_protect(stays->page);
  }
  for (const HostVirtual at : pages_.mappings(goes->page)) {
    notify(at, page_size);
    Mapped& block = *find_block(at);
    block.table.set(at - block.first, Pte::present(goes->page, false));
    remap(at, goes->page, stays->page);
  }
  return MoveResult::done;
}

}  // namespace softsnp::host
