// Page faults of the process, and its own loads and stores.
#include <algorithm>
#include <array>
#include <cerrno>

#include "hypervisor/host/user_memory.hpp"

namespace softsnp::host {
namespace {
Failure<Error> fail(int number, const char* what) {
  return Failure<Error>{Error{number, 0, what}};
}
}  // namespace

bool UserMemory::fill(Mapped& block, u64 offset, PageSize largest) {
  const bool whole_fits = block.table.is_empty(offset) && block.table.holds_frame(offset);
  if (largest == PageSize::size_2m && whole_fits) {
    if (const auto large = memory_.allocate(PageSize::size_2m)) {
      const u64 frame = align_down(offset, large_page_size);
      block.table.set_whole(frame, *large);
      for (u64 at = 0; at < large_page_size; at += page_size) {
        pages_.map(*large + at, block.first + frame + at);
      }
      return true;
    }
  }
  const auto small = memory_.allocate(PageSize::size_4k);
  if (!small) {
    return false;
  }
  block.table.set(offset, Pte::present(*small, true));
  pages_.map(*small, block.first + offset);
  return true;
}

bool UserMemory::swap_in(Mapped& block, u64 offset, Pte entry) {
  const auto page = memory_.allocate(PageSize::size_4k);
  if (!page) {
    return false;
  }
  if (const auto bytes = swap_.bytes(entry.slot()); !bytes.empty()) {
    memory_.store_own(*page, bytes);
  }
  swap_.release(entry.slot());
  block.table.set(offset, Pte::present(*page, true));
  pages_.map(*page, block.first + offset);
  return true;
}

// Copy on write: who is alone with a merged page keeps it.
bool UserMemory::break_sharing(Mapped& block, u64 offset, Pte entry) {
  const HostVirtual at = block.first + offset;
  if (pages_.maps(entry.page()) == 1) {
    block.table.set(offset, Pte::present(entry.page(), true));
    return true;
  }
  const auto page = memory_.allocate(PageSize::size_4k);
  if (!page) {
    return false;
  }
  notify(at, page_size);
  copy(entry.page(), *page);
  block.table.set(offset, Pte::present(*page, true));
  pages_.map(*page, at);
  if (pages_.unmap(entry.page(), at)) {
    memory_.release(entry.page(), PageSize::size_4k);
  }
  return true;
}

std::optional<UserMemory::Page> UserMemory::find(HostVirtual at) const {
  const Mapped* block = find_block(at);
  if (block == nullptr) {
    return std::nullopt;
  }
  const u64 offset = at.page() - block->first;
  const Pte entry = block->table.find(offset);
  if (!entry.is_present()) {
    return std::nullopt;
  }
  return Page{entry.page(), block->table.is_whole(offset), entry.is_writable()};
}

bool UserMemory::is_swapped(HostVirtual at) const {
  const Mapped* block = find_block(at);
  return block != nullptr && block->table.find(at.page() - block->first).is_swapped();
}

Result<UserMemory::Page, Error> UserMemory::fault(HostVirtual at, Access access, PageSize largest) {
  Mapped* block = find_block(at);
  if (block == nullptr) {
    return fail(EFAULT, "no memory at that host-virtual address");
  }
  const u64 offset = at.page() - block->first;
  const Pte entry = block->table.find(offset);
  bool there = true;
  if (entry.is_none()) {
    there = fill(*block, offset, largest);
  } else if (entry.is_swapped()) {
    there = swap_in(*block, offset, entry);
  } else if (access == Access::write && !entry.is_writable()) {
    there = break_sharing(*block, offset, entry);
  }
  if (!there) {
    return fail(ENOMEM, "no memory for a page of the VMM");
  }
  return *find(at);
}

Result<void, Error> UserMemory::read(HostVirtual at, std::span<u8> to) {
  while (!to.empty()) {
    const auto page = fault(at, Access::read, PageSize::size_2m);
    if (!page) {
      return Failure<Error>{page.error()};
    }
    const usize part = std::min<u64>(to.size(), page_size - at.page_offset());
    if (!memory_.load(page->page + at.page_offset(), to.first(part))) {
      return fail(EFAULT, "the VMM's load faulted");
    }
    to = to.subspan(part);
    at = at + part;
  }
  return {};
}

Result<void, Error> UserMemory::write(HostVirtual at, std::span<const u8> from) {
  while (!from.empty()) {
    const auto page = fault(at, Access::write, PageSize::size_2m);
    if (!page) {
      return Failure<Error>{page.error()};
    }
    const usize part = std::min<u64>(from.size(), page_size - at.page_offset());
    if (!memory_.store(page->page + at.page_offset(), from.first(part))) {
      return fail(EFAULT, "the VMM's store faulted");
    }
    from = from.subspan(part);
    at = at + part;
  }
  return {};
}

}  // namespace softsnp::host
