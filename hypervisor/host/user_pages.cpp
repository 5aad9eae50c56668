#include "hypervisor/host/user_pages.hpp"

#include <algorithm>
#include <utility>

#include "hypervisor/host/error.hpp"

namespace softsnp::host {
namespace {
usize index_in_frame(SystemPhysical page) {
  return page.page_number() % 512;
}
}  // namespace

UserPages::UserPages(u64 dram_bytes)
    : frames_((dram_bytes + large_page_size - 1) / large_page_size) {}

UserPages::Page& UserPages::make(SystemPhysical page) {
  std::unique_ptr<Frame>& frame = frames_[page.value() / large_page_size];
  if (!frame) {
    frame = std::make_unique<Frame>();
  }
  Page& found = frame->pages[index_in_frame(page)];
  frame->used += found.kind == Kind::none ? 1 : 0;
  return found;
}

const UserPages::Page* UserPages::find(SystemPhysical page) const {
  const std::unique_ptr<Frame>& frame = frames_[page.value() / large_page_size];
  return frame ? &frame->pages[index_in_frame(page)] : nullptr;
}

UserPages::Page& UserPages::at(SystemPhysical page) {
  Page* found = const_cast<Page*>(std::as_const(*this).find(page));
  if (found == nullptr || found->kind != Kind::user) {
    broken_invariant("a page was unmapped or pinned that no RAM block has");
  }
  return *found;
}

void UserPages::map(SystemPhysical page, HostVirtual at) {
  Page& made = make(page);
  if (made.kind == Kind::guest_memfd) {
    broken_invariant("a page of a guest_memfd was mapped");
  }
  user_pages_ += made.kind == Kind::none ? 1 : 0;
  made.kind = Kind::user;
  if (made.maps++ == 0) {
    made.at = at;
  } else {
    others_[page.page_number()].push_back(at);
  }
}

bool UserPages::unmap(SystemPhysical page, HostVirtual from) {
  Page& mapped = at(page);
  const auto others = others_.find(page.page_number());
  if (mapped.maps == 0 || (mapped.maps == 1 && mapped.at != from)) {
    broken_invariant("a page was unmapped where it is not mapped");
  }
  if (others != others_.end()) {
    std::vector<HostVirtual>& list = others->second;
    if (mapped.at == from) {
      mapped.at = list.front();
      list.erase(list.begin());
    } else {
      list.erase(std::find(list.begin(), list.end(), from));
    }
    if (list.empty()) {
      others_.erase(others);
    }
  }
  --mapped.maps;
  return forget_if_unused(page);
}

void UserPages::pin(SystemPhysical page) {
  pinned_pages_ += at(page).pins++ == 0 ? 1 : 0;
}

bool UserPages::unpin(SystemPhysical page) {
  Page& pinned = at(page);
  if (pinned.pins == 0) {
    broken_invariant("a page was unpinned that is not pinned");
  }
  pinned_pages_ -= --pinned.pins == 0 ? 1 : 0;
  return forget_if_unused(page);
}

void UserPages::forget(SystemPhysical page) {
  std::unique_ptr<Frame>& frame = frames_[page.value() / large_page_size];
  frame->pages[index_in_frame(page)] = Page{};
  if (--frame->used == 0) {
    frame.reset();
  }
}

bool UserPages::forget_if_unused(SystemPhysical page) {
  if (const Page& used = at(page); used.maps != 0 || used.pins != 0) {
    return false;
  }
  forget(page);
  --user_pages_;
  return true;
}

void UserPages::set_guest_memfd(SystemPhysical page, PageSize size, bool is_guest_memfd) {
  for (u64 offset = 0; offset < bytes(size); offset += page_size) {
    if (is_guest_memfd) {
      make(page + offset).kind = Kind::guest_memfd;
    } else {
      forget(page + offset);
    }
  }
  const u64 pages = bytes(size) / page_size;
  guest_memfd_pages_ += is_guest_memfd ? pages : u64{0} - pages;
}

UserPages::Kind UserPages::kind(SystemPhysical page) const {
  const Page* found = find(page);
  return found != nullptr ? found->kind : Kind::none;
}

u32 UserPages::pins(SystemPhysical page) const {
  const Page* found = find(page);
  return found != nullptr ? found->pins : 0;
}

u32 UserPages::maps(SystemPhysical page) const {
  const Page* found = find(page);
  return found != nullptr ? found->maps : 0;
}

std::vector<HostVirtual> UserPages::mappings(SystemPhysical page) const {
  std::vector<HostVirtual> all;
  if (const Page* found = find(page); found != nullptr && found->maps != 0) {
    all.push_back(found->at);
  }
  if (const auto others = others_.find(page.page_number()); others != others_.end()) {
    all.insert(all.end(), others->second.begin(), others->second.end());
  }
  return all;
}

std::optional<SystemPhysical> UserPages::highest_below(SystemPhysical limit) const {
  const u64 end = std::min<u64>(limit.page_number(), frames_.size() * pages_per_frame);
  for (u64 page = end; page != 0;) {
    --page;
    const std::unique_ptr<Frame>& frame = frames_[page / pages_per_frame];
    if (!frame) {
      page -= page % pages_per_frame;
    } else if (frame->pages[page % pages_per_frame].kind != Kind::none) {
      return SystemPhysical(page << page_shift);
    }
  }
  return std::nullopt;
}

}  // namespace softsnp::host
