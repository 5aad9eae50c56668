#include "hypervisor/host/user_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace softsnp::host {
namespace {

constexpr HostVirtual first_address(u64{1} << 44);
constexpr u64 guard_bytes = large_page_size;

Failure<Error> fail(int number, const char* what) {
  return Failure<Error>{Error{number, 0, what}};
}

}  // namespace

UserMemory::UserMemory(HostMemory& memory, const UserMemoryConfig& config)
    : memory_(memory), config_(config), pages_(memory.port().dram_bytes()) {}

UserMemory::~UserMemory() {
  while (!blocks_.empty()) {
    (void)unmap(blocks_.begin()->first).ok();
  }
}

const UserMemory::Mapped* UserMemory::find_block(HostVirtual at) const {
  const auto after = blocks_.upper_bound(at);
  if (after == blocks_.begin()) {
    return nullptr;
  }
  const Mapped& block = std::prev(after)->second;
  return at < block.end() ? &block : nullptr;
}

UserMemory::Mapped* UserMemory::find_block(HostVirtual at) {
  return const_cast<Mapped*>(std::as_const(*this).find_block(at));
}

// The lowest that fits, with a guard before the next block.
std::optional<HostVirtual> UserMemory::gap(u64 bytes) const {
  HostVirtual candidate = first_address;
  for (const auto& [first, block] : blocks_) {
    if (first - candidate >= bytes + guard_bytes) {
      return candidate;
    }
    candidate = HostVirtual(align_up(block.end().value(), large_page_size)) + guard_bytes;
  }
  return bytes <= address_limit - candidate.value() ? std::optional(candidate) : std::nullopt;
}

Result<HostVirtual, Error> UserMemory::map(u64 bytes) {
  if (bytes == 0 || !is_aligned(bytes, page_size)) {
    return fail(EINVAL, "a RAM block is whole pages");
  }
  const auto first = bytes < address_limit ? gap(bytes) : std::nullopt;
  if (!first) {
    return fail(ENOMEM, "no addresses for a RAM block");
  }
  blocks_.emplace(*first, Mapped{*first, UserPageTable(bytes)});
  return *first;
}

Result<void, Error> UserMemory::unmap(HostVirtual first) {
  const auto found = blocks_.find(first);
  if (found == blocks_.end()) {
    return fail(EINVAL, "no RAM block starts there");
  }
  drop(found->second, 0, found->second.table.bytes());
  blocks_.erase(found);
  return {};
}

void UserMemory::discard(HostVirtual first, u64 bytes) {
  const HostVirtual end = first + bytes;
  for (auto& [start, block] : blocks_) {
    const HostVirtual from = std::max(first, start);
    const HostVirtual to = std::min(end, block.end());
    if (from < to) {
      drop(block, from - start, to - from);
    }
  }
}

bool UserMemory::any_present(const Mapped& block, u64 first, u64 bytes) const {
  for (u64 offset = first; offset < first + bytes;) {
    if (block.table.is_empty(offset)) {
      offset = align_down(offset, large_page_size) + large_page_size;
    } else if (block.table.find(offset).is_present()) {
      return true;
    } else {
      offset += page_size;
    }
  }
  return false;
}

void UserMemory::drop(Mapped& block, u64 first, u64 bytes) {
  if (any_present(block, first, bytes)) {
    notify(block.first + first, bytes);
  }
  for (u64 offset = first; offset < first + bytes;) {
    const u64 frame_end = align_down(offset, large_page_size) + large_page_size;
    const u64 next = std::min(frame_end, first + bytes);
    if (block.table.is_whole(offset) && next - offset == large_page_size) {
      drop_whole(block, offset);
    } else if (!block.table.is_empty(offset)) {
      for (u64 page = offset; page < next; page += page_size) {
        drop_page(block, page);
      }
    }
    offset = next;
  }
}

void UserMemory::drop_whole(Mapped& block, u64 offset) {
  const SystemPhysical whole = block.table.find(offset).page();
  std::vector<SystemPhysical> unused;
  for (u64 at = 0; at < large_page_size; at += page_size) {
    if (pages_.unmap(whole + at, block.first + offset + at)) {
      unused.push_back(whole + at);
    }
  }
  block.table.clear_whole(offset);
  if (unused.size() * page_size == large_page_size) {
    memory_.release(whole, PageSize::size_2m);
    return;
  }
  for (const SystemPhysical page : unused) {
    memory_.release(page, PageSize::size_4k);
  }
}

void UserMemory::drop_page(Mapped& block, u64 offset) {
  const Pte entry = block.table.find(offset);
  if (entry.is_none()) {
    return;
  }
  block.table.set(offset, Pte{});
  if (entry.is_swapped()) {
    swap_.release(entry.slot());
  } else if (pages_.unmap(entry.page(), block.first + offset)) {
    memory_.release(entry.page(), PageSize::size_4k);
  }
}

void UserMemory::notify(HostVirtual first, u64 bytes) {
  for (MmuNotifier* notifier : notifiers_) {
    notifier->invalidate(first, bytes);
  }
}

void UserMemory::remove_notifier(MmuNotifier& notifier) {
  notifiers_.erase(std::remove(notifiers_.begin(), notifiers_.end(), &notifier), notifiers_.end());
}

// Whatever was taken before a failure is given back.
Result<std::vector<SystemPhysical>, Error> UserMemory::pin(HostVirtual first, u64 pages) {
  std::vector<SystemPhysical> pinned;
  for (u64 i = 0; i < pages; ++i) {
    const auto page = fault(first.page() + i * page_size, Access::write, PageSize::size_2m);
    if (!page) {
      unpin(pinned);
      return Failure<Error>{page.error()};
    }
    pages_.pin(page->page);
    pinned.push_back(page->page);
  }
  return pinned;
}

void UserMemory::unpin(std::span<const SystemPhysical> pages) {
  for (const SystemPhysical page : pages) {
    if (pages_.unpin(page)) {
      memory_.release(page, PageSize::size_4k);
    }
  }
}

std::vector<UserMemory::Block> UserMemory::blocks() const {
  std::vector<Block> all;
  for (const auto& [first, block] : blocks_) {
    all.push_back({first, block.table.bytes()});
  }
  return all;
}

}  // namespace softsnp::host
