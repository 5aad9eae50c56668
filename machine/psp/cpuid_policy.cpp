#include "machine/psp/cpuid_policy.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/bits.hpp"

namespace softsnp::psp {

namespace {

constexpr unsigned avx = 2, opmask = 5, zmm_high = 6, zmm_extra = 7, pkru = 9, cet_user = 11,
                   cet_supervisor = 12;
constexpr u32 legacy_xsave_bytes = 0x240;

// Family, model, stepping in comparing order. Firmware 1.55 forms the model as the sum of extended
// and base nibble (firmware sheet 3.2).
std::tuple<u32, u32, u32> decode_signature(u32 eax) {
  const auto field = [eax](unsigned high, unsigned low) {
    return static_cast<u32>(get_bits(eax, high, low));
  };
  return {field(11, 8) + field(27, 20), field(7, 4) + field(19, 16), field(3, 0)};
}

u32 xsave_size(u64 xcr0) {
  constexpr struct {
    unsigned component;
    u32 end;
  } ends[] = {{pkru, 0x988}, {zmm_extra, 0x980}, {zmm_high, 0x580}, {opmask, 0x380}, {avx, 0x340}};
  for (const auto& end : ends) {
    if (has_bit(xcr0, end.component)) {
      return end.end;
    }
  }
  return legacy_xsave_bytes;
}

u32 xsave_compact_size(u64 xcr0, u64 xss) {
  u32 size = legacy_xsave_bytes;
  size += has_bit(xcr0, avx) ? 0x100 : 0;
  size += has_bit(xcr0, opmask) ? 0x40 : 0;
  size += has_bit(xcr0, zmm_high) ? 0x200 : 0;
  size += has_bit(xcr0, zmm_extra) ? 0x400 : 0;
  size += has_bit(xcr0, pkru) ? 0x8 : 0;
  size += has_bit(xss, cet_user) ? 0x10 : 0;
  size += has_bit(xss, cet_supervisor) ? 0x18 : 0;
  return size;
}

// The value that policy leaves of a field.
u32 limited(RuleKind kind, u32 limit, u32 value) {
  switch (kind) {
    case RuleKind::free:
      return value;
    case RuleKind::equal:
      return limit;
    case RuleKind::mask:
      return value & limit;
    case RuleKind::maximum:
      return std::min(value, limit);
    case RuleKind::mask_or_zero:
      return (value & ~limit) == 0 ? value : 0;
  }
  return 0;
}

u32 computed_value(Computed what, const CpuidEntry& entry, u32 value, u32 platform) {
  switch (what) {
    case Computed::none:
      return value;
    case Computed::signature:
      return decode_signature(value) > decode_signature(platform) ? platform : value;
    case Computed::xsave_features:
      return value | 3;
    case Computed::xsave_size:
      return xsave_size(entry.xcr0_in);
    case Computed::xsave_compact_size:
      return xsave_compact_size(entry.xcr0_in, entry.xss_in);
  }
  return 0;
}

// True if value was within policy; else it is corrected.
bool apply(const RegisterRule& rule, const CpuidEntry& entry, u32 platform, u32& value) {
  u32 allowed = computed_value(rule.computed, entry, value, platform);
  for (const FieldRule& field : rule.fields) {
    const u32 limit = rule.features ? field.value & (platform | rule.always) : field.value;
    const auto part = static_cast<u32>(get_bits(allowed, field.high, field.low));
    allowed = static_cast<u32>(
        with_bits(allowed, field.high, field.low, limited(field.kind, limit, part)));
  }
  allowed &= ~rule.reserved;
  return std::exchange(value, allowed) == allowed;
}

bool clear(CpuidEntry& entry) {
  const bool was_clear = (entry.eax | entry.ebx | entry.ecx | entry.edx) == 0;
  entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
  return was_clear;
}

const LeafRule* find_rule(const CpuidEntry& entry) {
  for (const LeafRule& rule : cpuid_policy()) {
    if (rule.leaf == entry.eax_in && rule.subleaf == entry.ecx_in) {
      return &rule;
    }
  }
  return nullptr;
}

bool has_component(const PlatformView& platform, u8 component) {
  return component == LeafRule::no_component || has_bit(platform.cpuid(0xD, 0).eax, component) ||
         has_bit(platform.cpuid(0xD, 1).ecx, component);
}

constexpr bool is_checked(u32 leaf) {
  return leaf <= 0xFFFF || (leaf >= 0x80000000 && leaf <= 0x8000FFFF);
}

}  // namespace

bool check_cpuid_entry(CpuidEntry& entry, const PlatformView& platform) {
  if (!is_checked(entry.eax_in)) {
    return true;
  }
  bool good = entry.mbz == 0;  // a failure that cannot be corrected
  const LeafRule* rule = find_rule(entry);
  if (rule == nullptr || !has_component(platform, rule->component)) {
    return clear(entry) && good;
  }
  const CpuidValues real = platform.cpuid(entry.eax_in, entry.ecx_in);
  good = apply(rule->eax, entry, real.eax, entry.eax) && good;
  good = apply(rule->ebx, entry, real.ebx, entry.ebx) && good;
  good = apply(rule->ecx, entry, real.ecx, entry.ecx) && good;
  good = apply(rule->edx, entry, real.edx, entry.edx) && good;
  return good;
}

CpuidVerdict check_cpuid_page(CpuidPage& page, const PlatformView& platform) {
  if (page.count > CpuidPage::max_count || page.mbz_04 != 0 || page.mbz_08 != 0) {
    return CpuidVerdict::malformed;
  }
  bool good = true;
  for (u32 at = 0; at < page.count; ++at) {
    good = check_cpuid_entry(page.entries[at], platform) && good;
  }
  return good ? CpuidVerdict::accepted : CpuidVerdict::corrected;
}

}  // namespace softsnp::psp
