// A VM's memory as the host sees it: slots with what is behind them, private attributes, nested
// page tables and, for SNP VMs, the RMP entries of private pages. Shared memory is the VMM's RAM,
// private memory a guest_memfd. Linux virt/kvm, arch/x86/kvm/mmu; GHCB sheet 5 ("Lazy RMP",
// "Implicit conversion").
#pragma once

#include <map>
#include <span>
#include <vector>

#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/kvm/encrypted_regions.hpp"
#include "hypervisor/kvm/events.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "hypervisor/kvm/memory_slots.hpp"
#include "hypervisor/kvm/nested_page_table.hpp"
#include "hypervisor/kvm/private_attributes.hpp"

namespace softsnp::kvm {

class GuestMemory final : private host::MmuNotifier {
 public:
  GuestMemory(host::HostKernel& host, const VmConfig& config, Observer& observer,
              Counters& counters);
  ~GuestMemory() override;
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  // Nothing that is behind a slot goes with it.
  Result<void, Error> set_region(const UserMemoryRegion& region);
  // The slot's pages written since the last call; one bit each.
  Result<std::vector<u64>, Error> take_dirty_log(u32 slot);
  Result<u32, Error> create_guest_memfd(u64 bytes);
  // Slots that it is bound to lose their private memory.
  Result<void, Error> close_guest_memfd(u32 file);
  EncryptedRegions& regions() { return regions_; }

  Result<void, Error> set_private(GuestPhysical gpa, u64 bytes, bool is_private);
  bool is_encrypted() const { return has_encrypted_memory(type_); }
  bool is_private(GuestPhysical page) const { return attributes_.is_private(page.page()); }

  // Through the direct map; pages are made on demand. EFAULT: no memory, private, or RMP fault.
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

  // The page behind a page of an SEV guest, made if absent, for the firmware to write. EFAULT: no
  // memory there.
  Result<SystemPhysical, Error> page_behind(GuestPhysical page) {
    return shared_at(page, host::UserMemory::Access::write);
  }

  // The page of a guest_memfd behind a gPA, made if absent, in the RMP as the guest's, for hardware
  // to use as VMSA. KVM asks for no attribute (kvm_gmem_get_pfn()). EFAULT: no such memory.
  Result<SystemPhysical, Error> private_page(GuestPhysical gpa);
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

  // SNP VMs: the firmware moves private pages of a range, which it can from LAUNCH_START on, to a
  // NUMA node, or out of DRAM and back. Stops at what the firmware refuses. EINVAL, EIO, ENOMEM.
  void set_context(SystemPhysical context);
  Result<MoveReport, Error> migrate_private(GuestPhysical gpa, u64 bytes, unsigned node);
  Result<MoveReport, Error> swap_out_private(GuestPhysical gpa, u64 bytes);
  Result<MoveReport, Error> swap_in_private(GuestPhysical gpa, u64 bytes);

  void set_asid(Asid asid) { asid_ = asid; }
  SystemPhysical root() const { return tables_.root(); }
  // Advances whenever a nested mapping shrank: TLBs must be flushed before the next VMRUN.
  u64 shrink_count() const { return shrink_count_; }
  // Advances whenever the host may have moved or dropped a page, mapped or not: what private_page()
  // said must be asked again.
  u64 zap_count() const { return zap_count_; }

 private:
  bool is_snp() const { return type_ == VmType::snp; }
  void zap(GuestPhysical first, u64 bytes);
  void zap_shared(GuestPhysical first, GuestPhysical end);
  void invalidate(HostVirtual first, u64 bytes) override;

  Result<GuestMemfd*, Error> memfd_for(const UserMemoryRegion& region) const;
  Result<void, Error> create_slot(const UserMemoryRegion& region);
  void remove_slot(u32 id);
  void set_flags(MemorySlot& slot, u32 flags);

  template <class Step>
  Result<MoveReport, Error> move_private(GuestPhysical gpa, u64 bytes, Step step);

  bool wants_large_shared(const MemorySlot& slot, GuestPhysical page) const;
  bool wants_large_private(const MemorySlot& slot, GuestPhysical page) const;
  NpfResolution map_shared(MemorySlot& slot, GuestPhysical page, bool write);
  NpfResolution map_private(MemorySlot& slot, GuestPhysical page);
  NpfResolution map(GuestPhysical page, SystemPhysical at, PageSize size, bool writable);
  NpfResolution fix_rmp_fault(MemorySlot& slot, GuestPhysical page, u64 exitinfo1,
                              const NestedPageTable::Mapping& mapping);
  static void note_dirty(MemorySlot& slot, GuestPhysical page);
  Result<SystemPhysical, Error> shared_at(GuestPhysical gpa, host::UserMemory::Access access);
  Failure<Error> store_failed(const machine::HostFault& fault);

  host::HostKernel& host_;
  VmType type_;
  Observer& observer_;
  Counters& counters_;
  NestedPageTable tables_;
  PrivateAttributes attributes_;
  EncryptedRegions regions_;
  std::optional<host::SnpPages> firmware_;  // who moves private pages
  std::map<u32, std::unique_ptr<GuestMemfd>> memfds_;
  u32 next_memfd_ = 1;
  MemorySlots slots_;
  Asid asid_ = Asid::host;
  u64 shrink_count_ = 0;
  u64 zap_count_ = 0;
};

}  // namespace softsnp::kvm
