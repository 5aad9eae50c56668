#include "hypervisor/kvm/cpuid.hpp"

#include <algorithm>

#include "arch/x86/registers.hpp"

namespace softsnp::kvm {
namespace {
constexpr u32 xsave_header_end = 0x240;  // legacy area and header
}

const CpuidEntry* CpuidTable::find(u32 leaf, u32 subleaf) const {
  for (const CpuidEntry& entry : entries_) {
    if (entry.leaf == leaf && (!entry.subleaf_significant || entry.subleaf == subleaf)) {
      return &entry;
    }
  }
  return nullptr;
}

bool CpuidTable::has_feature_1_ecx(unsigned bit_number) const {
  const CpuidEntry* entry = find(1, 0);
  return entry != nullptr && has_bit(entry->ecx, bit_number);
}

// APM2 11.5.2-11.5.3: standard format by offset of the last component, compacted one by sum.
u32 CpuidTable::xsave_bytes(u64 components, bool compacted) const {
  u32 size = xsave_header_end;
  for (u32 i = 2; i < 63; ++i) {
    const CpuidEntry* component = find(0xD, i);
    if (!has_bit(components, i) || component == nullptr) {
      continue;
    }
    if (compacted) {
      const bool aligned = (component->ecx & 2) != 0;
      size = (aligned ? static_cast<u32>(align_up(size, 64)) : size) + component->eax;
    } else {
      size = std::max(size, component->ebx + component->eax);
    }
  }
  return size;
}

machine::CpuidResult CpuidTable::lookup(u32 leaf, u32 subleaf, const CpuidState& state) const {
  const CpuidEntry* entry = find(leaf, subleaf);
  machine::CpuidResult r;
  if (entry != nullptr) {
    r = {entry->eax, entry->ebx, entry->ecx, entry->edx};
  }
  switch (leaf) {
    case 1:
      r.ebx = static_cast<u32>(with_bits(r.ebx, 31, 24, state.apic_id));
      r.ecx = static_cast<u32>(with_bits(r.ecx, 27, 27, (state.cr4 & x86::cr4::osxsave) != 0));
      r.edx = static_cast<u32>(with_bits(r.edx, 9, 9, state.apic_enabled));
      break;
    case 7:
      if (subleaf == 0) {
        r.ecx = static_cast<u32>(with_bits(r.ecx, 4, 4, (state.cr4 & x86::cr4::pke) != 0));
      }
      break;
    case 0xB:
      r.edx = state.apic_id;
      r.ecx = static_cast<u32>(with_bits(r.ecx, 7, 0, subleaf));
      break;
    case 0xD:
      if (subleaf == 0 && entry != nullptr) {
        r.ebx = xsave_bytes(state.xcr0, false);
      } else if (subleaf == 1 && (r.eax & 0xA) != 0) {
        r.ebx = xsave_bytes(state.xcr0 | state.xss, true);
      }
      break;
    case 0x8000001E:
      r.eax = state.apic_id;
      r.ebx = static_cast<u32>(with_bits(r.ebx, 7, 0, state.apic_id));
      break;
    default:
      break;
  }
  return r;
}

}  // namespace softsnp::kvm
