#include "hypervisor/host/snp_pages.hpp"

#include <cerrno>

namespace softsnp::host {

SnpPages::~SnpPages() {
  for (const auto& [page, entries] : metadata_) {
    rmp_.release_firmware(page);
  }
}

template <class Buffer>
Result<void, Error> SnpPages::command(psp::Command id, Buffer& buffer) {
  const psp::Status status = psp_.command(id, buffer);
  if (status != psp::Status::success) {
    return Failure<Error>{Error{EIO, psp::number(status),
                                std::string(psp::name(id)) + " failed: " + psp::name(status)}};
  }
  return {};
}

// Reclaimed, out of the RMP and free; or leaked.
void SnpPages::give_up(SystemPhysical page, PageSize size) {
  if (rmp_.reclaim(page, size)) {
    memory_.release(page, size);
  }
}

// In state Pre-Guest.
Result<SystemPhysical, Error> SnpPages::destination(GuestPhysical gpa, Asid asid, PageSize size,
                                                    const Range& target) {
  const auto page = memory_.allocate_within(size, target);
  if (!page) {
    return Failure<Error>{Error{ENOMEM, 0, "no memory to move a page to"}};
  }
  if (auto assigned = rmp_.assign(*page, size, gpa, asid, Rmp::Immutable::yes); !assigned) {
    memory_.release(*page, size);
    return Failure<Error>{assigned.error()};
  }
  return *page;
}

Result<SystemPhysical, Error> SnpPages::move(SystemPhysical page, PageSize size,
                                             const Range& target) {
  const snp::RmpUpdate entry = rmp_.read(page);
  auto fresh = destination(GuestPhysical(entry.gpa), static_cast<Asid>(entry.asid), size, target);
  if (!fresh) {
    return fresh;
  }
  if (auto locked = rmp_.lock(page); !locked) {
    give_up(*fresh, size);
    return Failure<Error>{locked.error()};
  }
  psp::SnpPageMove buffer{context_.value(),
                          size == PageSize::size_2m ? psp::SnpPageMove::size_2m : 0, 0,
                          page.value(), fresh->value()};
  if (auto moved = command(psp::Command::snp_page_move, buffer); !moved) {
    give_up(*fresh, size);
    auto unlocked = rmp_.unlock(page, size);
    return Failure<Error>{unlocked ? moved.error() : unlocked.error()};
  }
  if (rmp_.make_hypervisor(page, size)) {
    memory_.release(page, size);
  } else {
    memory_.leak(page, size);
  }
  return *fresh;
}

Result<SystemPhysical, Error> SnpPages::metadata_entry() {
  if (free_entries_.empty()) {
    auto page = rmp_.allocate_firmware();
    if (!page) {
      return page;
    }
    psp::SnpPageMdInit buffer{context_.value(), page->value()};
    if (auto made = command(psp::Command::snp_page_md_init, buffer); !made) {
      rmp_.release_firmware(*page);
      return Failure<Error>{made.error()};
    }
    metadata_.emplace(*page, MetadataPage{});
    for (u64 offset = 0; offset < page_size; offset += sizeof(psp::MdataEntry)) {
      free_entries_.insert(*page + offset);
    }
  }
  return *free_entries_.begin();
}

void SnpPages::forget(const Swapped& swapped) {
  const auto found = metadata_.find(swapped.metadata_entry.page());
  --found->second.live;
  ++found->second.stale;
  if (found->second.live == 0) {
    const SystemPhysical page = found->first;
    free_entries_.erase(free_entries_.lower_bound(page),
                        free_entries_.lower_bound(page + page_size));
    metadata_.erase(found);
    rmp_.release_firmware(page);
  }
}

// The command with an output page of the firmware's, whose bytes are taken out of it.
Result<void, Error> SnpPages::read_out(SystemPhysical page, const psp::SnpPageSwap& wanted,
                                       std::span<u8> to) {
  psp::SnpPageSwap buffer = wanted;
  const auto output = rmp_.allocate_firmware();
  if (!output) {
    return Failure<Error>{output.error()};
  }
  buffer.src_paddr = page.value();
  buffer.dst_paddr = output->value();
  auto done = command(psp::Command::snp_page_swap_out, buffer);
  memory_.load_own(*output, to);
  rmp_.release_firmware(*output);
  return done;
}

Result<SnpPages::Swapped, Error> SnpPages::swap_out(SystemPhysical page) {
  const auto slot = metadata_entry();
  if (!slot) {
    return Failure<Error>{slot.error()};
  }
  const snp::RmpUpdate entry = rmp_.read(page);
  if (auto locked = rmp_.lock(page); !locked) {
    return Failure<Error>{locked.error()};
  }
  Swapped swapped{std::vector<u8>(page_size), GuestPhysical(entry.gpa),
                  static_cast<Asid>(entry.asid), *slot};
  psp::SnpPageSwap buffer{};
  buffer.gctx_paddr = context_.value();
  buffer.mdata_paddr = slot->value();
  if (auto done = read_out(page, buffer, swapped.bytes); !done) {
    auto unlocked = rmp_.unlock(page, PageSize::size_4k);
    return Failure<Error>{unlocked ? done.error() : unlocked.error()};
  }
  free_entries_.erase(*slot);
  ++metadata_.at(slot->page()).live;
  give_up(page, PageSize::size_4k);
  return swapped;
}

// The destination becomes the page; source holds what the firmware wrote.
Result<void, Error> SnpPages::restore(const Swapped& swapped, SystemPhysical source,
                                      SystemPhysical page) {
  psp::SnpPageSwap buffer{};
  buffer.gctx_paddr = context_.value();
  buffer.src_paddr = source.value();
  buffer.dst_paddr = page.value();
  buffer.mdata_paddr = swapped.metadata_entry.value();
  if (auto done = command(psp::Command::snp_page_swap_in, buffer); !done) {
    give_up(page, PageSize::size_4k);
    return done;
  }
  free_entries_.insert(swapped.metadata_entry);
  --metadata_.at(swapped.metadata_entry.page()).live;
  auto unlocked = rmp_.unlock(page, PageSize::size_4k);
  if (!unlocked) {
    memory_.leak(page, PageSize::size_4k);
  }
  return unlocked;
}

Result<SystemPhysical, Error> SnpPages::swap_in(const Swapped& swapped) {
  const auto source = memory_.allocate(PageSize::size_4k);
  if (!source) {
    return Failure<Error>{Error{ENOMEM, 0, "no memory to swap a page in"}};
  }
  memory_.store_own(*source, swapped.bytes);
  const auto page = destination(swapped.gpa, swapped.asid, PageSize::size_4k,
                                {SystemPhysical(0), memory_.port().dram_bytes()});
  const auto done = page ? restore(swapped, *source, *page) : Failure<Error>{page.error()};
  memory_.release(*source, PageSize::size_4k);
  return done ? page : Failure<Error>{done.error()};
}

}  // namespace softsnp::host
