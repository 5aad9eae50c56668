// Nested page faults: backing on demand, RMP entries on demand, mappings in 2 MiB where they fit.
#include <cerrno>

#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {
namespace npf = snp::npf;
namespace pf_error = x86::pf_error;

// Puts a page behind `page`: 2 MiB if wanted and there is one, else 4 KiB.
bool GuestMemory::fill(Backing& backing, GuestPhysical page, bool whole_wanted) {
  if (whole_wanted && backing.frame(page).is_empty()) {
    if (const auto large = host_.memory.allocate(PageSize::size_2m)) {
      backing.put_whole(page, *large);
      return true;
    }
  }
  const auto small = host_.memory.allocate(PageSize::size_4k);
  if (small) {
    backing.put_page(page, *small);
  }
  return small.has_value();
}

std::optional<SystemPhysical> GuestMemory::shared_page(MemorySlot& slot, GuestPhysical page) {
  if (const auto at = slot.shared.find(page)) {
    return at;
  }
  const bool whole = slot.contains_frame(page) && (!is_snp() || attributes_.all_shared(page));
  return fill(slot.shared, page, whole) ? slot.shared.find(page) : std::nullopt;
}

std::optional<SystemPhysical> GuestMemory::private_page(MemorySlot& slot, GuestPhysical page) {
  if (const auto at = slot.private_memory.find(page)) {
    return at;
  }
  const bool whole = slot.contains_frame(page) && attributes_.all_private(page);
  return fill(slot.private_memory, page, whole) ? slot.private_memory.find(page) : std::nullopt;
}

NpfResolution GuestMemory::map(GuestPhysical page, SystemPhysical at, PageSize size) {
  if (tables_.map(page, at, size) != NestedPageTable::MapResult::mapped) {
    return NpfResolution::out_of_memory;
  }
  ++(size == PageSize::size_2m ? counters_.pages_mapped_2m : counters_.pages_mapped_4k);
  return size == PageSize::size_2m ? NpfResolution::mapped_2m : NpfResolution::mapped_4k;
}

NpfResolution GuestMemory::map_shared(MemorySlot& slot, GuestPhysical page) {
  const auto at = shared_page(slot, page);
  if (!at) {
    return NpfResolution::out_of_memory;
  }
  const Backing::Frame& frame = slot.shared.frame(page);
  if (frame.is_whole() && (!is_snp() || attributes_.all_shared(page))) {
    return map(page.large_page(), frame.whole, PageSize::size_2m);
  }
  return map(page, *at, PageSize::size_4k);
}

// KVM's sev_gmem_prepare: one 2 MiB entry if nothing of the frame is assigned yet, else 4 KiB.
bool GuestMemory::assign_private(MemorySlot& slot, GuestPhysical page, SystemPhysical at) {
  Backing::Frame& frame = slot.private_memory.frame(page);
  if (frame.is_whole() && frame.assigned == 0 && attributes_.all_private(page)) {
    if (host_.rmp.assign(frame.whole, PageSize::size_2m, page.large_page(), asid_,
                         host::Rmp::Immutable::no)) {
      frame.assigned = Backing::pages_per_frame;
      frame.large_entry = true;
      return true;
    }
  }
  if (!host_.rmp.assign(at, PageSize::size_4k, page, asid_, host::Rmp::Immutable::no)) {
    return false;
  }
  ++frame.assigned;
  return true;
}

NpfResolution GuestMemory::map_private(MemorySlot& slot, GuestPhysical page) {
  const auto at = private_page(slot, page);
  if (!at) {
    return NpfResolution::out_of_memory;
  }
  if (host_.rmp.read(*at).assigned == 0 && !slot.private_memory.frame(page).large_entry &&
      !assign_private(slot, page, *at)) {
    return NpfResolution::unresolved;
  }
  const Backing::Frame& frame = slot.private_memory.frame(page);
  if (frame.is_whole() && frame.large_entry && attributes_.all_private(page)) {
    return map(page.large_page(), frame.whole, PageSize::size_2m);
  }
  return map(page, *at, PageSize::size_4k);
}

void GuestMemory::smash(Backing::Frame& frame, GuestPhysical page) {
  if (host_.rmp.psmash(frame.whole)) {
    frame.large_entry = false;
    ++counters_.psmash;
  }
  zap(page.large_page(), large_page_size);
}

// KVM's sev_handle_rmp_fault: what the host can do is to bring both sizes together.
NpfResolution GuestMemory::fix_rmp_fault(MemorySlot& slot, GuestPhysical page, u64 exitinfo1,
                                         const NestedPageTable::Mapping& mapping) {
  if (!attributes_.is_private(page)) {
    return NpfResolution::unresolved;
  }
  Backing::Frame& frame = slot.private_memory.frame(page);
  // The RMP has the last word about its sizes, as in KVM: it may have been smashed elsewhere.
  frame.large_entry = frame.large_entry && host_.rmp.read(frame.whole).page_size != 0;
  if (frame.large_entry && ((exitinfo1 & npf::sizem) != 0 || mapping.size == PageSize::size_4k)) {
    smash(frame, page);
    return frame.large_entry ? NpfResolution::unresolved : NpfResolution::smashed;
  }
  if (!frame.large_entry && mapping.size == PageSize::size_2m) {
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
    return {NpfResolution::mismatch, find_slot(page) != nullptr};
  }
  MemorySlot* slot = find_slot(page);
  if (slot == nullptr) {
    // The nested fault of an SEV-ES guest's MMIO has to become its #VC.
    if (!has_encrypted_state(type_)) {
      return {NpfResolution::unresolved, false};
    }
    const bool mapped = tables_.map_mmio(page) == NestedPageTable::MapResult::mapped;
    return {mapped ? NpfResolution::mmio_entry : NpfResolution::out_of_memory, false};
  }
  if (const auto mapping = tables_.lookup(page)) {
    if ((exitinfo1 & npf::rmp) != 0) {
      return {fix_rmp_fault(*slot, page, exitinfo1, *mapping), true};
    }
    return {
        (exitinfo1 & pf_error::present) != 0 ? NpfResolution::unresolved : NpfResolution::spurious,
        true};
  }
  return {is_snp() && wants_private ? map_private(*slot, page) : map_shared(*slot, page), true};
}

}  // namespace softsnp::kvm
