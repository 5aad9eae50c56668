// The policy table of firmware 1.55 (Genoa). Firmware sheet 3.2. Numbers are the sheet's; where it
// masks features, cpuid_policy.cpp also masks with the platform's own processor, which may lack
// some of Genoa's (as AVX and later vectors here).
#include "machine/psp/cpuid_policy.hpp"

namespace softsnp::psp {

namespace {

constexpr RegisterRule any(u32 reserved = 0) {
  RegisterRule rule;
  rule.reserved = reserved;
  return rule;
}
constexpr RegisterRule one(RuleKind kind, u32 value, u32 reserved) {
  RegisterRule rule = any(reserved);
  rule.fields[0] = {kind, value, 31, 0};
  return rule;
}
constexpr RegisterRule equal(u32 value) {
  return one(RuleKind::equal, value, 0);
}
constexpr RegisterRule mask(u32 value, u32 reserved = 0) {
  return one(RuleKind::mask, value, reserved);
}
constexpr RegisterRule maximum(u32 value) {
  return one(RuleKind::maximum, value, 0);
}
constexpr RegisterRule features(u32 value, u32 always = 0, u32 reserved = 0) {
  RegisterRule rule = mask(value | always, reserved);
  rule.features = true;
  rule.always = always;
  return rule;
}
constexpr RegisterRule fields(FieldRule a, FieldRule b = {}, FieldRule c = {}, u32 reserved = 0) {
  RegisterRule rule = any(reserved);
  rule.fields[0] = a;
  rule.fields[1] = b;
  rule.fields[2] = c;
  return rule;
}
constexpr RegisterRule computed(Computed what, RegisterRule rule = {}) {
  rule.computed = what;
  return rule;
}
constexpr RegisterRule zero = equal(0);
constexpr RegisterRule signature = computed(Computed::signature, any(0xF000F000));

constexpr u32 osxsave = 1u << 27, hypervisor = 1u << 31, x2apic = 1u << 21, ospke = 1u << 4,
              htt = 1u << 28, cmp_legacy = 1u << 1, topology_extensions = 1u << 22;

constexpr LeafRule rules[] = {
    {0x0, 0, maximum(0x10), any(), any(), any()},
    {0x1, 0, signature, fields({RuleKind::equal, 0x08, 15, 8}, {}, {}, 0x000000FF),
     features(0x76FA320B, osxsave | hypervisor | x2apic, 0x0105CDF4),
     features(0x178BFBFF, htt, 0xE8740400)},
    {0x2, 0, any(), any(), any(), any()},
    {0x4, 0, any(), any(), any(), any()},
    {0x5, 0, any(0xFFFF0000), any(0xFFFF0000), any(0xFFFFFFFC), any(0xFFFFFF00)},
    {0x6, 0, mask(0x4), zero, mask(0x1), zero},
    {0x7, 0, maximum(1), features(0xF1BF97A9, 0, 0x0E006846),
     features(0x00415FCE, ospke, 0xFFBEA021), one(RuleKind::mask_or_zero, 0x10000010, 0)},
    {0x7, 1, features(0x20), zero, zero, zero},
    {0xB, 0, any(0xFFFFFFE0), any(0xFFFF0000), any(0xFFFF0000), any()},
    {0xB, 1, any(0xFFFFFFE0), any(0xFFFF0000), any(0xFFFF0000), any()},
    {0xB, 2, any(0xFFFFFFE0), any(0xFFFF0000), any(0xFFFF0000), any()},
    {0xD, 0, computed(Computed::xsave_features, features(0x2E7, 3, 0xFFFFFD18)),
     computed(Computed::xsave_size), any(), zero},
    {0xD, 1, features(0xF), computed(Computed::xsave_compact_size), features(0x1800), mask(0)},
    {0xD, 2, equal(0x100), equal(0x240), zero, zero, 2},
    {0xD, 5, equal(0x40), equal(0x340), mask(3), zero, 5},
    {0xD, 6, equal(0x200), equal(0x380), mask(3), zero, 6},
    {0xD, 7, equal(0x400), equal(0x580), mask(3), zero, 7},
    {0xD, 9, equal(0x8), equal(0x980), zero, zero, 9},
    {0xD, 0xB, equal(0x10), zero, equal(1), zero, 0xB},
    {0xD, 0xC, equal(0x18), zero, equal(1), zero, 0xC},
    {0xF, 0, zero, any(), zero, any(0xFFFFFFFD)},
    {0xF, 1, any(0xFFFFFE00), any(), any(), any(0xFFFFFFF8)},
    {0x10, 0, zero, any(0xFFFFFFF9), zero, zero},
    {0x10, 1, any(0xFFFFFFE0), any(), any(0xFFFFFFFB), any(0xFFFF0000)},
    {0x80000000, 0, maximum(0x80000028), any(), any(), any()},
    {0x80000001, 0, signature, any(0x0FFFFFFF),
     features(0x75C237FF, cmp_legacy | topology_extensions, 0x803C4000),
     features(0x2FD3FBFF, 0, 0x102C0400)},
    {0x80000002, 0, any(), any(), any(), any()},
    {0x80000003, 0, any(), any(), any(), any()},
    {0x80000004, 0, any(), any(), any(), any()},
    {0x80000005, 0, any(), any(), any(), any()},
    {0x80000006, 0, any(), any(), any(), any(0x00030000)},
    {0x80000007, 0, zero, mask(0x3B), any(), mask(0x6799, 0xFFFF8026)},
    {0x80000008, 0,
     fields({RuleKind::maximum, 0x34, 7, 0}, {RuleKind::maximum, 0x39, 15, 8},
            {RuleKind::maximum, 0xFF, 23, 16}, 0xFF000000),
     mask(0x79BEF35F, 0x060008A0), any(0xFFFC0F00),
     fields({RuleKind::maximum, 0x7, 15, 0}, {RuleKind::maximum, 0x1, 23, 16}, {}, 0xFF000000)},
    {0x8000000A, 0, any(0xFFFFFF00), any(), zero, mask(0x1FBFBCFF, 0xE0404300)},
    {0x80000019, 0, any(), any(), zero, zero},
    {0x8000001A, 0, any(0xFFFFFFF8), zero, zero, zero},
    {0x8000001B, 0, mask(0xBFF, 0xFFFFF000), zero, zero, zero},
    {0x8000001D, 0, any(0xFC003C00), any(), any(), any(0xFFFFFFFC)},
    {0x8000001D, 1, any(0xFC003C00), any(), any(), any(0xFFFFFFFC)},
    {0x8000001D, 2, any(0xFC003C00), any(), any(), any(0xFFFFFFFC)},
    {0x8000001D, 3, any(0xFC003C00), any(), any(), any(0xFFFFFFFC)},
    {0x8000001D, 4, any(0xFFFFFFF0), zero, any(), zero},
    {0x8000001E, 0, any(), any(0xFFFF0000), any(0xFFFFF800), any(0xFFFFFFFF)},
    {0x8000001F, 0, mask(0x030FFFFF),
     fields({RuleKind::equal, 0x33, 5, 0}, {RuleKind::maximum, 0x4, 15, 12}, {}, 0xFFFF0000), any(),
     any()},
    {0x80000020, 0, zero, any(0xFFFFFFE1), zero, zero},
    {0x80000020, 1, any(), zero, zero, any()},
    {0x80000020, 2, any(), zero, zero, any()},
    {0x80000020, 3, zero, any(), mask(0x7F), zero},
    {0x80000021, 0, mask(0x18062FCF, 0xE7F9D020), any(0xFFFFF000), zero, zero},
    {0x80000022, 0, mask(0x7),
     fields({RuleKind::maximum, 0x6, 3, 0}, {RuleKind::maximum, 0x10, 9, 4}), any(), zero},
    {0x80000023, 0, mask(0x1), any(), zero, zero},
    {0x80000024, 0, maximum(1), mask(1), mask(3), zero},
    {0x80000024, 1, mask(0x1FF), zero, zero, zero},
    {0x80000026, 0, any(), any(), any(), any()},
    {0x80000026, 1, any(), any(), any(), any()},
    {0x80000026, 2, any(), any(), any(), any()},
    {0x80000026, 3, any(), any(), any(), any()},
};

}  // namespace

std::span<const LeafRule> cpuid_policy() {
  return rules;
}

}  // namespace softsnp::psp
