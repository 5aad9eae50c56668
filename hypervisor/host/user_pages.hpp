// What the host knows of each page that a VMM's memory or a guest_memfd has: how often it is
// mapped, where, and how often it is pinned. Linux: struct page with its reverse map. A page lives
// as long as it is mapped or pinned.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "arch/address.hpp"

namespace softsnp::host {

class UserPages {
 public:
  enum class Kind : u8 {
    none,         // the kernel's own, or free
    user,         // of a RAM block
    guest_memfd,  // never moved by the host alone
  };

  explicit UserPages(u64 dram_bytes);

  // One more mapping at that address. A page of no kind becomes a user page.
  void map(SystemPhysical page, HostVirtual at);
  // The mapping goes. True: the page is nobody's any more; the caller frees it.
  bool unmap(SystemPhysical page, HostVirtual at);
  void pin(SystemPhysical page);
  // True as for unmap().
  bool unpin(SystemPhysical page);
  void set_guest_memfd(SystemPhysical page, PageSize size, bool is_guest_memfd);

  Kind kind(SystemPhysical page) const;
  u32 pins(SystemPhysical page) const;
  u32 maps(SystemPhysical page) const;
  // Ascending by the time they were made.
  std::vector<HostVirtual> mappings(SystemPhysical page) const;
  // The page of some kind with the highest address below limit.
  std::optional<SystemPhysical> highest_below(SystemPhysical limit) const;

  u64 user_pages() const { return user_pages_; }
  u64 guest_memfd_pages() const { return guest_memfd_pages_; }
  // Pinned at least once.
  u64 pinned_pages() const { return pinned_pages_; }

 private:
  static constexpr unsigned pages_per_frame = 512;
  struct Page {
    HostVirtual at;  // of the first mapping
    u32 maps = 0;
    u32 pins = 0;
    Kind kind = Kind::none;
  };
  struct Frame {
    std::array<Page, pages_per_frame> pages;
    unsigned used = 0;  // pages of some kind
  };
  Page& make(SystemPhysical page);
  Page& at(SystemPhysical page);
  const Page* find(SystemPhysical page) const;
  bool forget_if_unused(SystemPhysical page);
  void forget(SystemPhysical page);

  std::vector<std::unique_ptr<Frame>> frames_;      // null: no page of any kind
  std::map<u64, std::vector<HostVirtual>> others_;  // by page number: mappings beyond the first
  u64 user_pages_ = 0, guest_memfd_pages_ = 0, pinned_pages_ = 0;
};

}  // namespace softsnp::host
