// The memory of the VMM's process: RAM blocks at host-virtual addresses, filled on demand in pages
// of 2 MiB or 4 KiB, pinned by whoever needs pages to stay. Linux: mmap, madvise(MADV_DONTNEED),
// pin_user_pages(FOLL_LONGTERM), mmu notifiers. What moves pages is in PageMover.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "hypervisor/host/memory.hpp"
#include "hypervisor/host/mmu_notifier.hpp"
#include "hypervisor/host/swap_store.hpp"
#include "hypervisor/host/user_page_table.hpp"
#include "hypervisor/host/user_pages.hpp"

namespace softsnp::host {

struct UserMemoryConfig {
  // RLIMIT_MEMLOCK of the process; as a default that of one with CAP_IPC_LOCK.
  u64 lock_limit_bytes = ~u64{0};
};

class UserMemory {
 public:
  struct Block {
    HostVirtual first;
    u64 bytes = 0;
  };
  enum class Access : u8 { read, write };
  struct Page {
    SystemPhysical page;
    bool whole = false;  // part of a 2 MiB page that is behind all of the address's 2 MiB
    bool writable = true;
  };
  using Range = PageAllocator::Range;
  // Canonical addresses of user space end here.
  static constexpr u64 address_limit = u64{1} << 47;

  UserMemory(HostMemory& memory, const UserMemoryConfig& config);
  ~UserMemory();
  UserMemory(const UserMemory&) = delete;
  UserMemory& operator=(const UserMemory&) = delete;

  // A new block of zeros, whole pages; its address is a multiple of 2 MiB. EINVAL, ENOMEM.
  Result<HostVirtual, Error> map(u64 bytes);
  // The whole block that starts there. Pages that are pinned live on until they are unpinned.
  Result<void, Error> unmap(HostVirtual first);
  // Contents go, addresses stay: the next access finds new zeros. Addresses without a block are
  // passed over.
  void discard(HostVirtual first, u64 bytes);

  // The page at an address, made or brought back if absent; for a write, one of its own. Of 2 MiB
  // only if largest says so and nothing is there yet. EFAULT: no block; ENOMEM.
  Result<Page, Error> fault(HostVirtual at, Access access, PageSize largest);
  std::optional<Page> find(HostVirtual at) const;
  bool is_swapped(HostVirtual at) const;
  // The process's own accesses, through the direct map. EFAULT also for an RMP fault.
  Result<void, Error> read(HostVirtual at, std::span<u8> to);
  Result<void, Error> write(HostVirtual at, std::span<const u8> from);

  // Takes `pages` pages from first on, all or none.
  Result<std::vector<SystemPhysical>, Error> pin(HostVirtual first, u64 pages);
  void unpin(std::span<const SystemPhysical> pages);
  u64 lock_limit_pages() const { return config_.lock_limit_bytes / page_size; }

  void add_notifier(MmuNotifier& notifier) { notifiers_.push_back(&notifier); }
  void remove_notifier(MmuNotifier& notifier);

  // For PageMover: one page elsewhere, to the swap device, or into one with another.
  enum class MoveResult : u8 { done, pinned, in_rmp, guest_memfd, no_memory, nothing };
  // All mappings of the page; the new one lies in target.
  MoveResult migrate(SystemPhysical page, const Range& target);
  MoveResult migrate_whole(HostVirtual frame, const Range& target);
  MoveResult swap_out(HostVirtual page);
  // The contents are the same. Both become read-only, the second page is freed.
  MoveResult merge(HostVirtual kept, HostVirtual merged);
  MoveResult may_move(SystemPhysical page) const;

  std::vector<Block> blocks() const;
  UserPages& pages() { return pages_; }
  const UserPages& pages() const { return pages_; }
  u64 swapped_pages() const { return swap_.used(); }

 private:
  struct Mapped {
    HostVirtual first;
    UserPageTable table;
    HostVirtual end() const { return first + table.bytes(); }
  };
  Mapped* find_block(HostVirtual at);
  const Mapped* find_block(HostVirtual at) const;
  std::optional<HostVirtual> gap(u64 bytes) const;
  void notify(HostVirtual first, u64 bytes);
  bool any_present(const Mapped& block, u64 first, u64 bytes) const;
  void drop(Mapped& block, u64 first, u64 bytes);
  void drop_whole(Mapped& block, u64 offset);
  void drop_page(Mapped& block, u64 offset);
  bool fill(Mapped& block, u64 offset, PageSize largest);
  bool swap_in(Mapped& block, u64 offset, Pte entry);
  bool break_sharing(Mapped& block, u64 offset, Pte entry);
  void copy(SystemPhysical from, SystemPhysical to);
  void write_protect(SystemPhysical page);
  void remap(HostVirtual at, SystemPhysical from, SystemPhysical to);

  HostMemory& memory_;
  UserMemoryConfig config_;
  UserPages pages_;
  SwapStore swap_;
  std::map<HostVirtual, Mapped> blocks_;
  std::vector<MmuNotifier*> notifiers_;
};

}  // namespace softsnp::host
