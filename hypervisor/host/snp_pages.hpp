// The pages of one SNP guest, moved and swapped by the firmware: it alone can decrypt them at one
// address and encrypt them at another. Firmware sheet 1.6, hardware sheet 3.3. A firmware that
// knows none of these commands refuses, and everything is as before.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "arch/psp/guest_buffers.hpp"
#include "hypervisor/host/rmp.hpp"

namespace softsnp::host {

class SnpPages {
 public:
  using Range = PageAllocator::Range;
  // A page that is not in DRAM: what the firmware wrote of it, and where it keeps the proof.
  struct Swapped {
    std::vector<u8> bytes;
    GuestPhysical gpa;
    Asid asid = Asid::host;
    SystemPhysical metadata_entry;
  };

  // context: sPA of the guest's context page. The others outlive this object.
  SnpPages(HostMemory& memory, Rmp& rmp, PspMailbox& psp, SystemPhysical context)
      : memory_(memory), rmp_(rmp), psp_(psp), context_(context) {}
  // Metadata pages back to the host; swapped pages are lost with them.
  ~SnpPages();
  SnpPages(const SnpPages&) = delete;
  SnpPages& operator=(const SnpPages&) = delete;

  // A page with its RMP entry of that size, mapped nowhere, to one within target, which is
  // returned; the old one is free.
  Result<SystemPhysical, Error> move(SystemPhysical page, PageSize size, const Range& target);
  // 4 KiB. The page is free afterwards.
  Result<Swapped, Error> swap_out(SystemPhysical page);
  Result<SystemPhysical, Error> swap_in(const Swapped& swapped);
  // A swapped page will not come back. Its metadata entry stays valid and so is of no use; the page
  // of entries goes back once no swapped page has an entry in it.
  void forget(const Swapped& swapped);

 private:
  template <class Buffer>
  Result<void, Error> command(psp::Command id, Buffer& buffer);
  Result<SystemPhysical, Error> destination(GuestPhysical gpa, Asid asid, PageSize size,
                                            const Range& target);
  Result<SystemPhysical, Error> metadata_entry();
  Result<void, Error> read_out(SystemPhysical page, const psp::SnpPageSwap& buffer,
                               std::span<u8> to);
  Result<void, Error> restore(const Swapped& swapped, SystemPhysical source, SystemPhysical page);
  void give_up(SystemPhysical page, PageSize size);

  HostMemory& memory_;
  Rmp& rmp_;
  PspMailbox& psp_;
  SystemPhysical context_;
  struct MetadataPage {
    unsigned live = 0;   // entries of swapped pages
    unsigned stale = 0;  // valid entries of pages that were forgotten
  };
  std::map<SystemPhysical, MetadataPage> metadata_;
  std::set<SystemPhysical> free_entries_;
};

}  // namespace softsnp::host
