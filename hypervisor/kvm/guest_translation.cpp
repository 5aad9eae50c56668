#include "hypervisor/kvm/guest_translation.hpp"

#include "arch/x86/registers.hpp"

namespace softsnp::kvm {
namespace pte = x86::pte;
namespace pf_error = x86::pf_error;

u64 GuestTranslation::read_entry(GuestPhysical at, unsigned size) const {
  u64 entry = 0;
  if (!memory_.read_shared(at, {reinterpret_cast<u8*>(&entry), size})) {
    return 0;  // no memory there: not present
  }
  return entry;
}

TranslationFault GuestTranslation::fault(GuestVirtual address, AccessKind kind,
                                         bool present) const {
  u64 code = present ? pf_error::present : 0;
  code |= kind == AccessKind::write ? pf_error::write : 0;
  code |= kind == AccessKind::fetch ? pf_error::fetch : 0;
  code |= vmcb_.cpl == 3 ? pf_error::user : 0;
  return {address, static_cast<u32>(code)};
}

Result<GuestPhysical, TranslationFault> GuestTranslation::translate(GuestVirtual address,
                                                                    AccessKind kind) const {
  if ((vmcb_.cr0 & x86::cr0::pg) == 0) {
    return GuestPhysical(address.value());
  }
  return (vmcb_.cr4 & x86::cr4::pae) != 0 ? walk(address, kind) : walk_legacy(address, kind);
}

// Long mode and PAE. Permissions are those hardware just granted when it reached the nested fault;
// only writability is looked at again, for the second operand of MOVS and the like.
Result<GuestPhysical, TranslationFault> GuestTranslation::walk(GuestVirtual address,
                                                               AccessKind kind) const {
  const bool is_long = (vmcb_.efer & x86::efer::lma) != 0;
  GuestPhysical table(vmcb_.cr3 & (is_long ? pte::address_mask : mask_bits(31, 5)));
  bool writable = true;
  for (unsigned level = is_long ? 4 : 3; level > 0; --level) {
    const unsigned shift = page_shift + 9 * (level - 1);
    const u64 index_mask = !is_long && level == 3 ? 3 : 511;
    const u64 entry = read_entry(table + ((address.value() >> shift) & index_mask) * 8, 8);
    if ((entry & pte::present) == 0) {
      return Failure{fault(address, kind, false)};
    }
    const bool is_pdpte_of_pae = !is_long && level == 3;
    writable = writable && (is_pdpte_of_pae || (entry & pte::write) != 0);
    const bool is_leaf = level == 1 || (level < 4 && !is_pdpte_of_pae && (entry & pte::large) != 0);
    if (!is_leaf) {
      table = GuestPhysical(entry & pte::address_mask);
      continue;
    }
    const bool write_protected = !writable && (vmcb_.cpl == 3 || (vmcb_.cr0 & x86::cr0::wp) != 0);
    if (kind == AccessKind::write && write_protected) {
      return Failure{fault(address, kind, true)};
    }
    const u64 offset_mask = (u64{1} << shift) - 1;
    return GuestPhysical((entry & pte::address_mask & ~offset_mask) |
                         (address.value() & offset_mask));
  }
  return Failure{fault(address, kind, false)};
}

// 32-bit paging with 4 KiB and 4 MiB pages.
Result<GuestPhysical, TranslationFault> GuestTranslation::walk_legacy(GuestVirtual address,
                                                                      AccessKind kind) const {
  const u64 linear = address.value() & 0xFFFFFFFF;
  const u64 directory =
      read_entry(GuestPhysical((vmcb_.cr3 & mask_bits(31, 12)) + (linear >> 22) * 4), 4);
  if ((directory & pte::present) == 0) {
    return Failure{fault(address, kind, false)};
  }
  if ((directory & pte::large) != 0 && (vmcb_.cr4 & x86::cr4::pse) != 0) {
    return GuestPhysical((directory & mask_bits(31, 22)) | (get_bits(directory, 20, 13) << 32) |
                         (linear & mask_bits(21, 0)));
  }
  const u64 entry =
      read_entry(GuestPhysical((directory & mask_bits(31, 12)) + ((linear >> 12) & 1023) * 4), 4);
  if ((entry & pte::present) == 0) {
    return Failure{fault(address, kind, false)};
  }
  return GuestPhysical((entry & mask_bits(31, 12)) | (linear & page_offset_mask));
}

}  // namespace softsnp::kvm
