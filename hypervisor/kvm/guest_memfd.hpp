// guest_memfd: memory that only a guest may touch. It belongs to a VM, lives as long as the file is
// open, whatever becomes of the slots it is bound to, and the host never moves it. Its pages enter
// the RMP when the guest first needs them. Linux virt/kvm/guest_memfd.c, arch/x86/kvm/svm/sev.c.
#pragma once

#include <map>

#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/host/snp_pages.hpp"
#include "hypervisor/kvm/backing.hpp"
#include "hypervisor/kvm/events.hpp"

namespace softsnp::kvm {

class GuestMemfd {
 public:
  GuestMemfd(host::HostKernel& host, Counters& counters, u64 bytes)
      : host_(host), counters_(counters), bytes_(bytes), backing_(bytes) {}
  ~GuestMemfd() { punch_hole(0, bytes_); }
  GuestMemfd(const GuestMemfd&) = delete;
  GuestMemfd& operator=(const GuestMemfd&) = delete;

  u64 bytes() const { return bytes_; }
  std::optional<SystemPhysical> find(u64 offset) const { return backing_.find(offset); }
  const Backing::Frame& frame(u64 offset) const { return backing_.frame(offset); }
  // Made if absent: 2 MiB if wanted and there is one, else 4 KiB.
  std::optional<SystemPhysical> page(u64 offset, bool whole_wanted);
  // Its entry in the RMP, made if absent: one of 2 MiB if wanted and nothing of the frame is
  // assigned yet, else 4 KiB (KVM: sev_gmem_prepare).
  bool prepare(u64 offset, GuestPhysical page, Asid asid, bool large_wanted);
  // The entry of a page that page() gave was made by a launch command.
  void note_assigned(u64 offset, PageSize size);
  // Whether one entry of 2 MiB covers the frame. The RMP has the last word, as in KVM: it may have
  // been smashed elsewhere.
  bool has_large_entry(u64 offset);
  bool smash(u64 offset);
  // Contents go. A page that the RMP does not give back is leaked.
  void punch_hole(u64 first, u64 bytes);

  // Who can move pages that have an RMP entry; outlives the file, or is taken back. Null at first:
  // nobody.
  void set_firmware(host::SnpPages* firmware) { firmware_ = firmware; }
  // By the firmware, what nothing maps now: the page at offset, or the 2 MiB around it if one entry
  // covers them and size says so. The number of 4 KiB pages is returned. ENOENT: no such page;
  // ENXIO: not in the RMP, or nobody to move it.
  Result<u64, host::Error> move(u64 offset, PageSize size, const host::PageAllocator::Range& to);
  Result<void, host::Error> swap_out(u64 offset);
  Result<void, host::Error> swap_in(u64 offset);
  bool is_swapped(u64 offset) const { return swapped_.count(offset / page_size) != 0; }

 private:
  void punch_frame(u64 first, u64 bytes);
  bool take_from_guest(SystemPhysical page, PageSize size);
  void give_back(SystemPhysical page, PageSize size, bool assigned);
  host::UserPages& pages() { return host_.users.pages(); }

  Result<SystemPhysical, host::Error> small_page(u64 offset);
  void replace(u64 offset, PageSize size, SystemPhysical at);
  bool any_swapped_around(u64 offset) const;
  void drop_swapped(u64 first, u64 bytes);

  host::HostKernel& host_;
  Counters& counters_;
  u64 bytes_;
  Backing backing_;
  host::SnpPages* firmware_ = nullptr;
  std::map<u64, host::SnpPages::Swapped> swapped_;  // by page number in the file
};

}  // namespace softsnp::kvm
