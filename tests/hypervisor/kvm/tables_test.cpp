// CPUID, clock page, MSR storage, permission maps.
#include <gtest/gtest.h>

#include "hypervisor/kvm/cpuid.hpp"
#include "hypervisor/kvm/kvm_clock.hpp"
#include "hypervisor/kvm/msr_permissions.hpp"
#include "hypervisor/kvm/msr_store.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::kvm {
namespace {

const CpuidEntry* find(const std::vector<CpuidEntry>& table, u32 leaf) {
  for (const CpuidEntry& entry : table) {
    if (entry.leaf == leaf) {
      return &entry;
    }
  }
  return nullptr;
}

TEST(SupportedCpuid, KvmLeavesAndHiddenFeatures) {
  const test::FakePort port(64 << 20);
  const auto snp = supported_cpuid(port, VmType::snp);
  const auto plain = supported_cpuid(port, VmType::plain);
  EXPECT_EQ(find(snp, 0x40000001)->eax, 0x0100000Au);
  EXPECT_EQ(find(snp, 0x8000001F)->eax, 0x41Au);
  EXPECT_EQ(find(plain, 0x8000001F), nullptr);
  EXPECT_EQ(find(snp, 1)->ecx & (1u << 3), 0u) << "MONITOR";
  EXPECT_EQ(find(snp, 1)->ecx & (1u << 24), 0u) << "TSC deadline: the firmware refuses it";
  EXPECT_NE(find(plain, 1)->ecx & (1u << 24), 0u);
  EXPECT_NE(find(snp, 1)->ecx & (1u << 31), 0u);
  EXPECT_NE(find(snp, 1)->ecx & (1u << 21), 0u);
  EXPECT_EQ(find(snp, 1)->edx & (1u << 7), 0u) << "MCE";
}

TEST(Cpuid, PerVcpuValues) {
  CpuidTable table;
  const CpuidEntry entries[] = {
      {1, 0, false, 0x00A10F11, 0x800, 0, 0}, {7, 0, true, 0, 5, 0, 0},
      {0xD, 0, true, 7, 0, 0x340, 0},         {0xD, 1, true, 3, 0, 0, 0},
      {0xD, 2, true, 0x100, 0x240, 0, 0},     {0x8000001E, 0, false, 0, 0x100, 0, 0}};
  table.set(entries);
  CpuidState state;
  state.apic_id = 5;
  state.cr4 = bit(18) | bit(22);
  EXPECT_EQ(table.lookup(1, 99, state).ebx, 0x05000800u);
  EXPECT_EQ(table.lookup(1, 0, state).ecx, 1u << 27);
  EXPECT_EQ(table.lookup(1, 0, state).edx, 1u << 9);
  EXPECT_EQ(table.lookup(7, 0, state).ecx, 1u << 4);
  EXPECT_EQ(table.lookup(7, 1, state).ebx, 0u);
  EXPECT_EQ(table.lookup(0xB, 1, state).edx, 5u);
  EXPECT_EQ(table.lookup(0xB, 1, state).ecx, 1u);
  EXPECT_EQ(table.lookup(0x8000001E, 0, state).eax, 5u);
  EXPECT_EQ(table.lookup(0x8000001E, 0, state).ebx, 0x105u);
  EXPECT_EQ(table.lookup(0xD, 0, state).ebx, 0x240u);
  state.xcr0 = 7;
  EXPECT_EQ(table.lookup(0xD, 0, state).ebx, 0x340u);
  EXPECT_EQ(table.lookup(0xD, 1, state).ebx, 0x340u);
  EXPECT_EQ(table.lookup(0x12345678, 0, state).eax, 0u);
}

TEST(KvmClock, PageTellsNanosecondsForAnyRate) {
  for (const u64 hz : {u64{1000000000}, u64{2450000000}, u64{100000000}, u64{1000000},
                       u64{999999999}, u64{4000000000}, u64{12345678901}}) {
    const ClockPage page = make_clock_page(5 * hz, hz, 2);
    EXPECT_EQ(page.system_time, 5000000000u) << hz;
    EXPECT_NE(page.tsc_to_system_mul & 0x80000000u, 0u) << hz;
    const u64 later = clock_nanoseconds(page, 15 * hz);
    EXPECT_NEAR(static_cast<double>(later), 15e9, 15.0) << hz;
  }
}

TEST(MsrStore, ValuesLinuxExpects) {
  MsrStore msrs;
  EXPECT_EQ(msrs.read(0xFE), u64{0x508});
  EXPECT_EQ(msrs.read(0x2FF), u64{0xC06});
  for (const u32 fixed : {0x250u, 0x258u, 0x259u, 0x268u, 0x26Fu}) {
    EXPECT_EQ(msrs.read(fixed), u64{0x0606060606060606}) << fixed;
  }
  for (u32 variable = 0x200; variable <= 0x20F; ++variable) {
    EXPECT_EQ(msrs.read(variable), u64{0});
  }
  EXPECT_EQ(msrs.read(0xC0010010), u64{0});
  EXPECT_EQ(*msrs.read(0xC0010015) & bit(24), bit(24));
  EXPECT_EQ(msrs.read(0xC0010000), std::nullopt);
  EXPECT_EQ(msrs.read(0x210), std::nullopt);
  EXPECT_TRUE(msrs.write(0x200, 0x80000000));
  EXPECT_EQ(msrs.read(0x200), u64{0x80000000});
  EXPECT_FALSE(msrs.write(0x250, 0x0202020202020202)) << "reserved memory type";
  EXPECT_FALSE(msrs.write(0x2FF, 0x1000));
  EXPECT_TRUE(msrs.write(0xC0011029, 2));
  EXPECT_FALSE(msrs.write(0xC0011029, 4));
  EXPECT_FALSE(msrs.write(0xFE, 0));
}

TEST(MsrPermissions, OnlyTheListPasses) {
  const auto passes = [](const std::vector<u8>& map, usize range, u32 index) {
    return (map[range * 0x800 + index / 4] >> (2 * (index % 4)) & 3) == 0;
  };
  const auto snp = make_msr_permissions(VmType::snp);
  const auto plain = make_msr_permissions(VmType::plain);
  ASSERT_EQ(snp.size(), 8192u);
  EXPECT_TRUE(passes(snp, 1, 0x80));
  EXPECT_FALSE(passes(plain, 1, 0x80));
  EXPECT_TRUE(passes(snp, 2, 0x130));
  EXPECT_TRUE(passes(snp, 2, 0x131));
  EXPECT_TRUE(passes(snp, 0, 0x277));
  EXPECT_TRUE(passes(plain, 1, 0x101));
  EXPECT_FALSE(passes(snp, 0, 0x10));
  EXPECT_FALSE(passes(snp, 0, 0x830));
  unsigned passed = 0;
  for (usize range = 0; range < 3; ++range) {
    for (u32 i = 0; i < 0x2000; ++i) {
      passed += passes(snp, range, i) ? 1 : 0;
    }
  }
  EXPECT_EQ(passed, 16u);
}

}  // namespace
}  // namespace softsnp::kvm
