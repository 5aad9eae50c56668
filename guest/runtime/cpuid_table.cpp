#include "guest/runtime/cpuid_table.hpp"

#include "arch/x86/msr.hpp"
#include "arch/x86/registers.hpp"

namespace softsnp::guest {
namespace {

namespace field = ghcb::field;
using psp::CpuidEntry;

constexpr u32 base_leaf = 0, feature_leaf = 1, structured_leaf = 7, topology_leaf = 0xB,
              state_leaf = 0xD, hypervisor_base = 0x40000000, extended_base = 0x80000000,
              extended_topology_leaf = 0x8000001E;
constexpr u64 osxsave = bit(27), ospke = bit(4), apic_enabled = bit(9);
constexpr u64 xsavec = bit(1), xsaves = bit(3);
constexpr u32 legacy_state_bytes = 0x240;

// ECX matters (Linux, cpuid_function_is_indexed).
bool is_indexed(u32 leaf) {
  switch (leaf) {
    case 0x7:
    case 0xB:
    case 0xD:
    case 0xF:
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1D:
    case 0x1E:
    case 0x1F:
    case 0x8000001D:
      return true;
    default:
      return false;
  }
}

constexpr u32 mix(u32 of_page, u32 of_host, u64 host_bits) {
  return (of_page & ~static_cast<u32>(host_bits)) | (of_host & static_cast<u32>(host_bits));
}
constexpr u32 with(u32 value, u64 mask, bool on) {
  return on ? value | static_cast<u32>(mask) : value & ~static_cast<u32>(mask);
}

}  // namespace

Handled<CpuidValue> EarlyHostCpuid::cpuid(u32 leaf, u32 subleaf) {
  if (subleaf != 0) {
    return trouble(Cause::cpuid_of_host_failed);
  }
  u32 registers[4];
  for (unsigned i = 0; i < 4; ++i) {
    const auto value = msr_.cpuid(leaf, static_cast<ghcb::CpuidRegister>(i));
    if (!value) {
      return trouble(value.error());
    }
    registers[i] = *value;
  }
  return CpuidValue{registers[0], registers[1], registers[2], registers[3]};
}

Handled<CpuidValue> LateHostCpuid::cpuid(u32 leaf, u32 subleaf) {
  const GhcbUse use(client_);
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  Processor& processor = client_.processor();
  const bool has_xcr0 = (processor.read_cr4() & x86::cr4::osxsave) != 0;
  client_.begin();
  client_.set(field::rax, leaf);
  client_.set(field::rcx, subleaf);
  client_.set(field::xcr0, has_xcr0 ? processor.read_xcr0() : 1);
  if (const auto done = client_.call(number(ghcb::Event::cpuid), 0, 0); !done) {
    return Failure{done.error()};
  }
  constexpr unsigned offsets[4] = {field::rax, field::rbx, field::rcx, field::rdx};
  u32 registers[4];
  for (unsigned i = 0; i < 4; ++i) {
    const auto value = client_.answer(offsets[i]);
    if (!value) {
      return Failure{value.error()};
    }
    registers[i] = static_cast<u32>(*value);
  }
  return CpuidValue{registers[0], registers[1], registers[2], registers[3]};
}

Checked<CpuidTable> CpuidTable::of(const psp::CpuidPage& page) {
  if (page.count == 0 || page.count > psp::CpuidPage::max_count) {
    return fail(Cause::cpuid_page_bad);
  }
  return CpuidTable(page);
}

const CpuidEntry* CpuidTable::find(u32 leaf, u32 subleaf) const {
  for (u32 i = 0; i < page_->count; ++i) {
    const CpuidEntry& entry = page_->entries[i];
    if (entry.eax_in != leaf || (is_indexed(leaf) && entry.ecx_in != subleaf)) {
      continue;
    }
    // Of the state leaf's first two only those for x87 and SSE; sizes are computed.
    const bool sized = leaf == state_leaf && subleaf <= 1;
    if (!sized || ((entry.xcr0_in == 1 || entry.xcr0_in == 3) && entry.xss_in == 0)) {
      return &entry;
    }
  }
  return nullptr;
}

bool CpuidTable::in_range(u32 leaf) const {
  for (const u32 base : {base_leaf, hypervisor_base, extended_base}) {
    const CpuidEntry* top = find(base, 0);
    if (top != nullptr && leaf >= base && leaf <= top->eax) {
      return true;
    }
  }
  return false;
}

Handled<CpuidValue> CpuidTable::with_apic_ids(u32 leaf, CpuidValue value, HostCpuid& host) const {
  auto theirs = host.cpuid(leaf, 0);
  if (!theirs) {
    return theirs;
  }
  if (leaf == feature_leaf) {
    value.ebx = mix(value.ebx, theirs->ebx, mask_bits(31, 24));
    value.edx = mix(value.edx, theirs->edx, apic_enabled);
  } else if (leaf == topology_leaf) {
    value.edx = theirs->edx;
  } else {
    value.eax = theirs->eax;
    value.ebx = mix(value.ebx, theirs->ebx, mask_bits(7, 0));
    value.ecx = mix(value.ecx, theirs->ecx, mask_bits(7, 0));
  }
  return value;
}

// Of the standard or the compacted XSAVE area for these features; 0 if the page does not know one.
u32 CpuidTable::state_size(u64 features, bool compacted) const {
  u64 found = 0;
  u32 size = legacy_state_bytes;
  for (u32 i = 0; i < page_->count; ++i) {
    const CpuidEntry& entry = page_->entries[i];
    if (entry.eax_in != state_leaf || entry.ecx_in < 2 || entry.ecx_in > 63 ||
        !has_bit(features & ~found, entry.ecx_in)) {
      continue;
    }
    found |= bit(entry.ecx_in);
    const u32 end = entry.eax + entry.ebx;
    size = compacted ? size + entry.eax : end > size ? end : size;
  }
  return found == (features & mask_bits(63, 2)) ? size : 0;
}

Handled<CpuidValue> CpuidTable::with_state_sizes(u32 subleaf, CpuidValue value,
                                                 Processor& processor) const {
  const bool has_xcr0 = (processor.read_cr4() & x86::cr4::osxsave) != 0;
  u64 features = has_xcr0 ? processor.read_xcr0() : 1;
  if (subleaf == 1) {
    // Every SNP processor has both; without them the size has no defined meaning.
    if ((value.eax & (xsavec | xsaves)) == 0) {
      return trouble(Cause::inconsistent_cpuid);
    }
    features |= (value.eax & xsaves) != 0 ? processor.read_msr(x86::msr::xss) : 0;
  }
  value.ebx = state_size(features, subleaf == 1);
  if (value.ebx == 0) {
    return trouble(Cause::inconsistent_cpuid);
  }
  return value;
}

Handled<CpuidValue> CpuidTable::query(u32 leaf, u32 subleaf, HostCpuid& host,
                                      Processor& processor) const {
  const CpuidEntry* entry = find(leaf, subleaf);
  if (entry == nullptr && !in_range(leaf)) {
    return CpuidValue{};
  }
  CpuidValue value;
  if (entry != nullptr) {
    value = {entry->eax, entry->ebx, entry->ecx, entry->edx};
  }
  const u64 cr4 = processor.read_cr4();
  switch (leaf) {
    case feature_leaf:
      value.ecx = with(value.ecx, osxsave, (cr4 & x86::cr4::osxsave) != 0);
      return with_apic_ids(leaf, value, host);
    case structured_leaf:
      value.ecx = with(value.ecx, subleaf == 0 ? ospke : 0, (cr4 & x86::cr4::pke) != 0);
      return value;
    case topology_leaf:
    case extended_topology_leaf:
      return with_apic_ids(leaf, value, host);
    case state_leaf:
      return subleaf <= 1 ? with_state_sizes(subleaf, value, processor)
                          : Handled<CpuidValue>(value);
    default:
      return value;
  }
}

}  // namespace softsnp::guest
