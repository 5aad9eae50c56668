#include "guest/runtime/cpuid_table.hpp"

#include <gtest/gtest.h>

#include "arch/x86/msr.hpp"
#include "arch/x86/registers.hpp"
#include "tests/guest/runtime/simulated_host.hpp"

namespace softsnp::guest {
namespace {

struct World {
  World() {
    add({0, 0, 0, 0, 0x10, 1, 2, 3});
    add({1, 0, 0, 0, 0xA20F11, 0x00200800, 0x76FA320B, 0x178BFBFF & ~0x200u});
    add({7, 0, 0, 0, 1, 2, 0, 4});
    add({7, 1, 0, 0, 9, 9, 0x10, 9});
    add({0xB, 0, 0, 0, 1, 2, 3, 77});
    add({0xB, 1, 0, 0, 5, 6, 7, 77});
    // The sizes of another XCR0 come first and must be passed over.
    add({0xD, 0, 7, 0, 7, 0x340, 0x340, 0});
    add({0xD, 0, 1, 0, 7, 0x240, 0x340, 0});
    add({0xD, 1, 1, 0, 0xF, 0x240, 0x1800, 0});
    add({0xD, 2, 0, 0, 0x100, 0x240, 0, 0});
    add({0xD, 11, 0, 0, 0x10, 0, 1, 0});
    add({0x80000000, 0, 0, 0, 0x80000028, 0, 0, 0});
    add({0x8000001E, 0, 0, 0, 0, 0x100, 0x200, 0});
    add({0x8000001F, 0, 0, 0, 0xF, 51, 0, 0});
  }
  void add(const psp::CpuidEntry& entry) { page().entries[page().count++] = entry; }
  psp::CpuidPage& page() { return host.object<psp::CpuidPage>(0x50000); }
  CpuidValue query(u32 leaf, u32 subleaf = 0) {
    const auto value = CpuidTable::of(page())->query(leaf, subleaf, late, host);
    EXPECT_TRUE(value.ok());
    return *value;
  }
  SimulatedHost host;
  SimulatedGuest guest{host};
  LateHostCpuid late{guest.ghcb};
};

TEST(CpuidTable, CountOfThePage) {
  World w;
  for (const u32 count : {0u, 65u, 0xFFFFFFFFu}) {
    w.page().count = count;
    const auto table = CpuidTable::of(w.page());
    ASSERT_FALSE(table.ok());
    EXPECT_EQ(table.error(), Cause::cpuid_page_bad);
  }
}

// Of the host's answer only what the page cannot know.
TEST(CpuidTable, ApicIdsOfTheHost) {
  World w;
  for (const u32 leaf : {1u, 0xBu, 0x8000001Eu}) {
    w.host.host_cpuid[leaf] = {0xEEEEEEEE, 0xEEEEEEEE, 0xEEEEEEEE, 0xEEEEEEEE};
  }
  EXPECT_EQ(w.query(1), (CpuidValue{0xA20F11, 0xEE200800, 0x76FA320B & ~(1u << 27), 0x178BFBFF}));
  EXPECT_EQ(w.query(0xB, 1), (CpuidValue{5, 6, 7, 0xEEEEEEEE}));
  EXPECT_EQ(w.query(0x8000001E), (CpuidValue{0xEEEEEEEE, 0x1EE, 0x2EE, 0}));
}

TEST(CpuidTable, StateOfTheProcessor) {
  World w;
  EXPECT_EQ(w.query(7).ecx, 0u);
  w.host.cr4 = x86::cr4::osxsave | x86::cr4::pke;
  w.host.xcr0 = 7;
  EXPECT_EQ(w.query(1).ecx & 1u << 27, 1u << 27);
  EXPECT_EQ(w.query(7).ecx, 1u << 4);
  EXPECT_EQ(w.query(7, 1).ecx, 0x10u);
  EXPECT_EQ(w.query(0xD, 0).ebx, 0x340u);
  w.host.msrs[x86::msr::xss] = 1 << 11;
  EXPECT_EQ(w.query(0xD, 1).ebx, 0x240u + 0x100 + 0x10);
  EXPECT_EQ(w.query(0xD, 2).eax, 0x100u);
}

TEST(CpuidTable, UnknownStateIsAnError) {
  World w;
  w.host.cr4 = x86::cr4::osxsave;
  w.host.xcr0 = 0x207;  // no entry for bit 9
  const auto value = CpuidTable::of(w.page())->query(0xD, 0, w.late, w.host);
  ASSERT_FALSE(value.ok());
  EXPECT_EQ(value.error().cause, Cause::inconsistent_cpuid);
}

TEST(CpuidTable, WhatIsNotListedIsZero) {
  World w;
  w.host.host_cpuid[0x40000000] = {1, 2, 3, 4};
  for (const u32 leaf : {2u, 0x11u, 0x40000000u, 0x80000001u, 0x90000000u}) {
    EXPECT_EQ(w.query(leaf), CpuidValue{});
  }
  // Subleaves count only where the leaf has them.
  EXPECT_EQ(w.query(0x8000001F, 5).ebx, 51u);
  EXPECT_EQ(w.query(7, 2), CpuidValue{});
}

TEST(CpuidTable, EarlyHost) {
  World w;
  w.host.host_cpuid[1] = {1, 0x55000000, 3, 4};
  EarlyHostCpuid early(w.host);
  EXPECT_EQ(CpuidTable::of(w.page())->query(1, 0, early, w.host)->ebx, 0x55200800u);
  EXPECT_FALSE(early.cpuid(7, 1).ok());
  w.host.lie_by_msr = [](u64, u64 answer) { return answer ^ bit(30); };
  const auto value = early.cpuid(1, 0);
  ASSERT_FALSE(value.ok());
  EXPECT_EQ(value.error().cause, Cause::cpuid_of_host_failed);
}

}  // namespace
}  // namespace softsnp::guest
