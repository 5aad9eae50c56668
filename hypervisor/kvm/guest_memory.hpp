// A VM's memory as the host sees it: slots with their backing, private attributes, nested page
// tables and, for SNP VMs, the RMP entries of private pages. Linux virt/kvm/guest_memfd.c,
// arch/x86/kvm/mmu; GHCB sheet 5 ("Lazy RMP", "Implicit conversion").
#pragma once

#include <span>
#include <vector>

#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/kvm/backing.hpp"
#include "hypervisor/kvm/events.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "hypervisor/kvm/nested_page_table.hpp"
#include "hypervisor/kvm/private_attributes.hpp"

namespace softsnp::kvm {

class GuestMemory {
 public:
  GuestMemory(host::HostKernel& host, VmType type, Observer& observer, Counters& counters);
  ~GuestMemory();
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  Result<void, Error> set_region(u32 slot, GuestPhysical gpa, u64 bytes);
  Result<void, Error> set_private(GuestPhysical gpa, u64 bytes, bool is_private);
  bool is_encrypted() const { return has_encrypted_memory(type_); }
  bool is_private(GuestPhysical page) const { return attributes_.is_private(page.page()); }

  // Through the direct map; backing is made on demand. EFAULT: no memory, private, or RMP fault.
  Result<void, Error> read_shared(GuestPhysical gpa, std::span<u8> to);
  Result<void, Error> write_shared(GuestPhysical gpa, std::span<const u8> from);

  // One nested page fault. no_slot is answered as `unresolved` with has_slot false.
  struct FaultAnswer {
    NpfResolution resolution = NpfResolution::unresolved;
    bool has_slot = true;
  };
  FaultAnswer handle_fault(GuestPhysical gpa, u64 exitinfo1);
  // A line on what stands behind gpa, for explanations.
  std::string describe(GuestPhysical gpa) const;

  // The page behind a page of an SEV guest, made if absent. EFAULT: no memory there.
  Result<SystemPhysical, Error> page_behind(GuestPhysical page) { return shared_at(page); }

  // The page behind a private gPA, made if absent and not yet in the RMP (EEXIST). size says how
  // much of it may be launched at once. EINVAL: not private memory.
  struct LaunchPage {
    SystemPhysical page;
    PageSize size = PageSize::size_4k;
  };
  Result<LaunchPage, Error> launch_page(GuestPhysical gpa, u64 bytes_left);
  // The RMP entry of a page of launch_page() was made or given up.
  void note_assigned(GuestPhysical gpa, PageSize size);
  // The page goes back to the host, out of the RMP already.
  void drop_private(GuestPhysical gpa, PageSize size);

  void set_asid(Asid asid) { asid_ = asid; }
  SystemPhysical root() const { return tables_.root(); }
  // Advances whenever a nested mapping shrank: TLBs must be flushed before the next VMRUN.
  u64 shrink_count() const { return shrink_count_; }

 private:
  MemorySlot* find_slot(GuestPhysical gpa);
  const MemorySlot* find_slot(GuestPhysical gpa) const;
  bool is_snp() const { return type_ == VmType::snp; }
  void zap(GuestPhysical first, u64 bytes);
  std::optional<SystemPhysical> shared_page(MemorySlot& slot, GuestPhysical page);
  std::optional<SystemPhysical> private_page(MemorySlot& slot, GuestPhysical page);
  bool fill(Backing& backing, GuestPhysical page, bool whole_wanted);
  NpfResolution map_shared(MemorySlot& slot, GuestPhysical page);
  NpfResolution map_private(MemorySlot& slot, GuestPhysical page);
  bool assign_private(MemorySlot& slot, GuestPhysical page, SystemPhysical at);
  NpfResolution map(GuestPhysical page, SystemPhysical at, PageSize size);
  NpfResolution fix_rmp_fault(MemorySlot& slot, GuestPhysical page, u64 exitinfo1,
                              const NestedPageTable::Mapping& mapping);
  void smash(Backing::Frame& frame, GuestPhysical page);
  void free_private(MemorySlot& slot, GuestPhysical first, u64 bytes);
  void free_private_frame(MemorySlot& slot, GuestPhysical first, u64 bytes);
  void free_shared(MemorySlot& slot, GuestPhysical first, u64 bytes);
  bool take_from_guest(SystemPhysical page, PageSize size);
  Result<SystemPhysical, Error> shared_at(GuestPhysical gpa);
  Failure<Error> store_failed(const machine::HostFault& fault);

  host::HostKernel& host_;
  VmType type_;
  Observer& observer_;
  Counters& counters_;
  NestedPageTable tables_;
  PrivateAttributes attributes_;
  std::vector<std::unique_ptr<MemorySlot>> slots_;  // by gPA
  Asid asid_ = Asid::host;
  u64 shrink_count_ = 0;
};

}  // namespace softsnp::kvm
