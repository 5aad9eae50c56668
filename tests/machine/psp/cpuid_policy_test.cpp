// The CPUID policy (firmware sheet 3.2).
#include "machine/psp/cpuid_policy.hpp"

#include <set>

#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

struct CpuidPolicyTest : testing::Test {
  FakePlatform platform;

  // Expects the entry to be refused and corrected to the second.
  void corrects(CpuidEntry entry, const CpuidEntry& expected) {
    EXPECT_FALSE(check_cpuid_entry(entry, platform)) << std::hex << entry.eax_in;
    EXPECT_EQ(entry, expected) << std::hex << "leaf " << entry.eax_in << ": " << entry.eax << ' '
                               << entry.ebx << ' ' << entry.ecx << ' ' << entry.edx;
    EXPECT_TRUE(check_cpuid_entry(entry, platform)) << "the correction is within policy";
  }
  void accepts(CpuidEntry entry) {
    const CpuidEntry before = entry;
    EXPECT_TRUE(check_cpuid_entry(entry, platform)) << std::hex << entry.eax_in;
    EXPECT_EQ(entry, before);
  }
  static CpuidEntry leaf(u32 eax_in, u32 ecx_in, u32 eax, u32 ebx = 0, u32 ecx = 0, u32 edx = 0) {
    return {eax_in, ecx_in, 0, 0, eax, ebx, ecx, edx, 0};
  }
};

TEST_F(CpuidPolicyTest, rows_are_distinct) {
  std::set<std::pair<u32, u32>> seen;
  for (const LeafRule& rule : cpuid_policy()) {
    EXPECT_TRUE(seen.insert({rule.leaf, rule.subleaf}).second) << std::hex << rule.leaf;
  }
}

TEST_F(CpuidPolicyTest, every_correction_is_within_policy) {
  for (const LeafRule& rule : cpuid_policy()) {
    for (const u32 value : {0u, 0xFFFFFFFFu, 0x55555555u, 0xAAAAAAAAu}) {
      for (const u64 xcr0 : {u64{1}, u64{3}, u64{0x2E7}}) {
        CpuidEntry entry{rule.leaf, rule.subleaf, xcr0, 0x1800, value, value, value, value, 0};
        check_cpuid_entry(entry, platform);
        CpuidEntry again = entry;
        EXPECT_TRUE(check_cpuid_entry(again, platform)) << std::hex << rule.leaf << ' ' << value;
        EXPECT_EQ(again, entry);
      }
    }
  }
}

TEST_F(CpuidPolicyTest, the_platforms_own_values_are_accepted) {
  for (auto [where, value] : platform.leaves) {
    if (where.first == 1) {
      value.ebx = 0x12340800;  // APIC id and count are free
    }
    CpuidEntry entry{where.first, where.second, 1,         0, value.eax,
                     value.ebx,   value.ecx,    value.edx, 0};
    EXPECT_TRUE(check_cpuid_entry(entry, platform)) << std::hex << where.first;
  }
}

TEST_F(CpuidPolicyTest, leaves_outside_of_the_ranges_pass) {
  accepts(leaf(0x40000000, 0, 1, 2, 3, 4));
  accepts(leaf(0x10000, 0, 1, 2, 3, 4));
  accepts(leaf(0x80010000, 5, 1, 2, 3, 4));
  CpuidEntry marked = leaf(0x40000001, 0, 1);
  marked.mbz = 1;
  accepts(marked);
}

TEST_F(CpuidPolicyTest, unlisted_leaves_are_zero) {
  accepts(leaf(0x3, 0, 0));
  corrects(leaf(0x3, 0, 1, 2, 3, 4), leaf(0x3, 0, 0));
  corrects(leaf(0x1, 1, 0, 0, 0, 4), leaf(0x1, 1, 0));
  corrects(leaf(0xFFFF, 0, 1), leaf(0xFFFF, 0, 0));
  corrects(leaf(0x8000FFFF, 0, 1), leaf(0x8000FFFF, 0, 0));
}

TEST_F(CpuidPolicyTest, reserved_field_fails_without_correction) {
  CpuidEntry entry = leaf(0x0, 0, 0xD);
  entry.mbz = 1;
  const CpuidEntry before = entry;
  EXPECT_FALSE(check_cpuid_entry(entry, platform));
  EXPECT_EQ(entry, before);
}

TEST_F(CpuidPolicyTest, limits) {
  accepts(leaf(0x0, 0, 0x10, 1, 2, 3));
  corrects(leaf(0x0, 0, 0x11), leaf(0x0, 0, 0x10));
  corrects(leaf(0x80000000, 0, 0x80000029), leaf(0x80000000, 0, 0x80000028));
  corrects(leaf(0x7, 0, 2), leaf(0x7, 0, 1));
  accepts(leaf(0x80000008, 0, 0x00003930 | 0x4));
  corrects(leaf(0x80000008, 0, 0xFF003A35), leaf(0x80000008, 0, 0x00003934));
  corrects(leaf(0x80000008, 0, 0x30, 0, 0, 0x00020008), leaf(0x80000008, 0, 0x30, 0, 0, 0x10007));
}

TEST_F(CpuidPolicyTest, signature_is_not_above_the_real_processor) {
  const auto with = [](u32 eax) { return leaf(0x1, 0, eax, 0x800); };
  accepts(with(0x00A10F11));
  accepts(with(0x00A10F10));
  accepts(with(0x00A00F11));  // Milan
  accepts(with(0x00800F12));  // EPYC: a higher stepping of an older family
  corrects(with(0x00A10F12), with(0x00A10F11));
  corrects(with(0x00B00F00), with(0x00A10F11));  // Turin
  corrects(with(0x00A20F10), with(0x00A10F11));
  corrects(leaf(0x1, 0, 0x00800F12, 0x1000), with(0x00800F12));  // CLFLUSH size
  corrects(leaf(0x1, 0, 0x00800F12, 0x8FF), with(0x00800F12));   // brand id
}

TEST_F(CpuidPolicyTest, features_are_those_of_the_policy_and_the_processor) {
  const auto with = [](u32 ecx, u32 edx) { return leaf(0x1, 0, 0x800F12, 0x800, ecx, edx); };
  accepts(with(bit(27) | bit(31) | bit(21), bit(28)));
  corrects(with(bit(24), 0), with(0, 0));  // TSC_DEADLINE is not in the policy
  corrects(with(bit(12), 0), with(0, 0));  // FMA is, but this processor has none
  platform.leaves[{1, 0}].ecx |= 1u << 12;
  accepts(with(bit(12), 0));
  accepts(leaf(0x7, 0, 0, 0, 0x10));                                      // OSPKE
  corrects(leaf(0x7, 0, 0, bit(5)), leaf(0x7, 0, 0));                     // AVX2
  corrects(leaf(0x7, 0, 0, 0, 0, 0x84000010), leaf(0x7, 0, 0, 0, 0, 0));  // zero, not masked
  accepts(leaf(0x7, 0, 0, 0, 0, 0x10000010));
  corrects(leaf(0x80000001, 0, 0x800F12, 0, bit(31)), leaf(0x80000001, 0, 0x800F12));
}

TEST_F(CpuidPolicyTest, xsave_sizes) {
  const auto d0 = [](u64 xcr0, u32 eax, u32 ebx) {
    return CpuidEntry{0xD, 0, xcr0, 0, eax, ebx, 0x240, 0, 0};
  };
  accepts(d0(1, 3, 0x240));
  accepts(d0(3, 3, 0x240));
  corrects(d0(1, 7, 0x240), d0(1, 3, 0x240));  // AVX state, which this processor lacks
  corrects(d0(1, 0, 0x240), d0(1, 3, 0x240));
  corrects(d0(7, 3, 0x240), d0(7, 3, 0x340));
  accepts(d0(0x27, 3, 0x380));
  accepts(d0(0x67, 3, 0x580));
  accepts(d0(0xE7, 3, 0x980));
  accepts(d0(0x2E7, 3, 0x988));
  const auto d1 = [](u64 xcr0, u64 xss, u32 ebx) {
    return CpuidEntry{0xD, 1, xcr0, xss, 1, ebx, 0, 0, 0};
  };
  accepts(d1(1, 0, 0x240));
  accepts(d1(0x2E7, 0x1800, 0x240 + 0x100 + 0x40 + 0x200 + 0x400 + 8 + 0x10 + 0x18));
  corrects(d1(7, 0, 0x240), d1(7, 0, 0x340));
}

TEST_F(CpuidPolicyTest, xsave_components_that_the_processor_lacks_are_zero) {
  accepts(leaf(0xD, 2, 0));
  corrects(leaf(0xD, 2, 0x100, 0x240), leaf(0xD, 2, 0));
  platform.leaves[{0xD, 0}].eax = 7;
  accepts(leaf(0xD, 2, 0x100, 0x240));
  corrects(leaf(0xD, 2, 0), leaf(0xD, 2, 0x100, 0x240));
  platform.leaves[{0xD, 1}].ecx = 0x1800;
  accepts(leaf(0xD, 0xB, 0x10, 0, 1));
}

TEST_F(CpuidPolicyTest, encryption_leaf) {
  accepts(leaf(0x8000001F, 0, 0x1A, 0x173, 1, 1));
  corrects(leaf(0x8000001F, 0, 0x04000000, 0x173), leaf(0x8000001F, 0, 0, 0x173));
  corrects(leaf(0x8000001F, 0, 0, 0x16F), leaf(0x8000001F, 0, 0, 0x173));  // C-bit 47
  corrects(leaf(0x8000001F, 0, 0, 0xF173), leaf(0x8000001F, 0, 0, 0x4173));
  corrects(leaf(0x8000001E, 0, 1, 0xF0002, 0xF803, 7), leaf(0x8000001E, 0, 1, 2, 3, 0));
}

TEST_F(CpuidPolicyTest, header) {
  CpuidPage page{};
  EXPECT_EQ(check_cpuid_page(page, platform), CpuidVerdict::accepted);
  page.count = 64;
  EXPECT_EQ(check_cpuid_page(page, platform), CpuidVerdict::accepted);
  page.entries[63].eax = 0x11;
  EXPECT_EQ(check_cpuid_page(page, platform), CpuidVerdict::corrected) << "the last one counts";
  EXPECT_EQ(page.entries[63].eax, 0x10u);
  page.count = 65;
  EXPECT_EQ(check_cpuid_page(page, platform), CpuidVerdict::malformed);
  page.count = 1;
  page.mbz_04 = 1;
  EXPECT_EQ(check_cpuid_page(page, platform), CpuidVerdict::malformed);
  page.mbz_04 = 0;
  page.mbz_08 = 1;
  EXPECT_EQ(check_cpuid_page(page, platform), CpuidVerdict::malformed);
}

}  // namespace
}  // namespace softsnp::psp
