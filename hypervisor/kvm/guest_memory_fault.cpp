// Nested page faults: backing on demand, RMP entries on demand, mappings in 2 MiB where they fit.
#include <cerrno>

#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {
namespace npf = snp::npf;
namespace pf_error = x86::pf_error;

bool GuestMemory::wants_large_shared(const MemorySlot& slot, GuestPhysical page) const {
  return slot.contains_frame(page) && slot.large_shared() &&
         (!is_snp() || attributes_.all_shared(page));
}

bool GuestMemory::wants_large_private(const MemorySlot& slot, GuestPhysical page) const {
  return slot.contains_frame(page) && slot.large_private() && attributes_.all_private(page);
}

NpfResolution GuestMemory::map(GuestPhysical page, SystemPhysical at, PageSize size,
                               bool writable) {
  if (tables_.map(page, at, size, writable) != NestedPageTable::MapResult::mapped) {
    return NpfResolution::out_of_memory;
  }
  ++(size == PageSize::size_2m ? counters_.pages_mapped_2m : counters_.pages_mapped_4k);
  return size == PageSize::size_2m ? NpfResolution::mapped_2m : NpfResolution::mapped_4k;
}

// Pages that are merged with others are mapped for reading, and so are clean ones while dirty pages
// are logged; the write that faults brings the page of its own.
NpfResolution GuestMemory::map_shared(MemorySlot& slot, GuestPhysical page, bool write) {
  const bool large = wants_large_shared(slot, page);
  const auto behind =
      host_.users.fault(slot.address_of(page),
                        write ? host::UserMemory::Access::write : host::UserMemory::Access::read,
                        large ? PageSize::size_2m : PageSize::size_4k);
  if (!behind) {
    return behind.error().number == ENOMEM ? NpfResolution::out_of_memory
                                           : NpfResolution::no_backing;
  }
  const bool logs = slot.has(slot_flag::log_dirty_pages);
  const bool writable = behind->writable && !slot.has(slot_flag::readonly) && (write || !logs);
  if (write) {
    note_dirty(slot, page);
  }
  if (large && behind->whole && !logs) {
    return map(page.large_page(), behind->page.large_page(), PageSize::size_2m, writable);
  }
  return map(page, behind->page, PageSize::size_4k, writable);
}

NpfResolution GuestMemory::map_private(MemorySlot& slot, GuestPhysical page) {
  if (slot.memfd == nullptr) {
    return NpfResolution::no_backing;
  }
  const u64 offset = slot.offset_of(page);
  const bool large = wants_large_private(slot, page);
  const auto at = slot.memfd->page(offset, large);
  if (!at) {
    return NpfResolution::out_of_memory;
  }
  if (!slot.memfd->prepare(offset, page, asid_, large)) {
    return NpfResolution::unresolved;
  }
  const Backing::Frame& frame = slot.memfd->frame(offset);
  if (large && frame.is_whole() && frame.large_entry) {
    return map(page.large_page(), frame.whole, PageSize::size_2m, true);
  }
  return map(page, *at, PageSize::size_4k, true);
}

// KVM's sev_handle_rmp_fault: what the host can do is to bring both sizes together.
NpfResolution GuestMemory::fix_rmp_fault(MemorySlot& slot, GuestPhysical page, u64 exitinfo1,
                                         const NestedPageTable::Mapping& mapping) {
  if (!attributes_.is_private(page)) {
    return NpfResolution::unresolved;
  }
  if (slot.memfd == nullptr) {
    return NpfResolution::unresolved;
  }
  const u64 offset = slot.offset_of(page);
  const bool large_entry = slot.memfd->has_large_entry(offset);
  if (large_entry && ((exitinfo1 & npf::sizem) != 0 || mapping.size == PageSize::size_4k)) {
    const bool smashed = slot.memfd->smash(offset);
    zap(page.large_page(), large_page_size);
    return smashed ? NpfResolution::smashed : NpfResolution::unresolved;
  }
  if (!large_entry && mapping.size == PageSize::size_2m) {
    zap(page.large_page(), large_page_size);
    return NpfResolution::split;
  }
  return NpfResolution::unresolved;
}

GuestMemory::FaultAnswer GuestMemory::handle_fault(GuestPhysical gpa, u64 exitinfo1) {
  const GuestPhysical page = gpa.page();
  if (page.value() >= NestedPageTable::gpa_limit) {
    return {NpfResolution::unresolved, false};
  }
  const bool wants_private = (exitinfo1 & npf::enc) != 0;
  if (is_snp() && wants_private != attributes_.is_private(page)) {
    return {NpfResolution::mismatch, slots_.find(page) != nullptr};
  }
  MemorySlot* slot = slots_.find(page);
  if (slot == nullptr) {
    // The nested fault of an SEV-ES guest's MMIO has to become its #VC.
    if (!has_encrypted_state(type_)) {
      return {NpfResolution::unresolved, false};
    }
    const bool mapped = tables_.map_mmio(page) == NestedPageTable::MapResult::mapped;
    return {mapped ? NpfResolution::mmio_entry : NpfResolution::out_of_memory, false};
  }
  const bool write = (exitinfo1 & pf_error::write) != 0;
  const bool is_shared = !is_snp() || !wants_private;
  if (const auto mapping = tables_.lookup(page)) {
    if ((exitinfo1 & npf::rmp) != 0) {
      return {fix_rmp_fault(*slot, page, exitinfo1, *mapping), true};
    }
    const bool wants_more = write && is_shared && !mapping->writable && !mapping->is_mmio;
    if (!wants_more) {
      return {(exitinfo1 & pf_error::present) != 0 ? NpfResolution::unresolved
                                                   : NpfResolution::spurious,
              true};
    }
  }
  if (write && slot->has(slot_flag::readonly)) {
    return {NpfResolution::unresolved, false};
  }
  return {is_shared ? map_shared(*slot, page, write) : map_private(*slot, page), true};
}

}  // namespace softsnp::kvm
