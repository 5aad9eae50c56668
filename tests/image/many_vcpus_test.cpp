// What a plan says of vCPUs beyond the first.
#include <gtest/gtest.h>

#include "guest/boot/sev_es_boot.hpp"
#include "tests/image/plan_checks.hpp"
#include "tests/image/samples.hpp"

namespace softsnp::image {
namespace {

constexpr u64 boot_code = 0xB000, jump_table = 0xC000, ghcb = 0xD000;

LaunchPlan plan_of(Mode mode, unsigned vcpus, const std::vector<u8>& kernel = samples::bzimage()) {
  Inputs inputs = samples::inputs(kernel, mode);
  inputs.vcpu_count = vcpus;
  auto plan = build(inputs);
  EXPECT_TRUE(plan.ok());
  return plan ? std::move(*plan) : LaunchPlan{};
}

boot::E820Type type_at(const LaunchPlan& plan, u64 gpa) {
  for (const boot::E820Entry& entry : plan.e820) {
    if (gpa >= entry.base && gpa - entry.base < entry.size) {
      return boot::E820Type{entry.type};
    }
  }
  return boot::E820Type::unusable;
}

// APM2 14.1.3.
TEST(ManyVcpus, ApsAreAsAfterInit) {
  for (const Mode mode : {Mode::snp, Mode::sev, Mode::plain}) {
    const LaunchPlan plan = plan_of(mode, 4);
    const svm::Vmsa& ap = plan.ap_state;
    EXPECT_EQ(plan.vcpu_count, 4u);
    EXPECT_EQ(u64{ap.cs.base} + ap.rip, 0xFFFFFFF0u);
    EXPECT_EQ(u16{ap.cs.selector}, 0xF000);
    EXPECT_EQ(u64{ap.cr0}, 0x10u);
    EXPECT_EQ(u64{ap.efer}, mode == Mode::snp ? 0x1000u : 0u);
    EXPECT_EQ(u64{ap.sev_features}, mode == Mode::snp ? 1u : 0u);
    EXPECT_EQ(u64{plan.entry_state.rip}, u64{plan_of(mode, 1).entry_state.rip});
  }
}

TEST(ManyVcpus, SevEsStartsThroughTheBootCode) {
  const LaunchPlan one = plan_of(Mode::sev_es, 1);
  const LaunchPlan plan = plan_of(Mode::sev_es, 4);
  EXPECT_EQ(checks::broken_invariant(plan), "");
  const std::span<const u8> code = guest::sev_es_boot_code();
  ASSERT_LE(code.size(), page_size);
  for (u64 i = 0; i < code.size(); ++i) {
    EXPECT_EQ(checks::byte_at(plan, boot_code + i), code[i]) << i;
  }
  const svm::Vmsa& first = plan.entry_state;
  EXPECT_EQ(u64{first.rip}, boot_code);
  EXPECT_EQ(u64{first.rdi}, u64{one.entry_state.rip}) << "where it goes on";
  EXPECT_EQ(u64{first.rsi}, u64{one.entry_state.rsi});
  EXPECT_EQ(u64{first.rbp}, jump_table);
  EXPECT_EQ(u64{first.rbx}, ghcb);
  // The entry it borrows is one of the tables it runs on, and maps the address it is told.
  const u64 pointers = checks::load<u64>(plan, u64{first.cr3}) & 0xFFFFF000;
  const u64 directory = checks::load<u64>(plan, pointers + 8 * (first.r9 >> 30));
  EXPECT_EQ(directory & 0xFFFFF000, u64{first.r8});
  EXPECT_EQ(checks::load<u64>(plan, first.r8) & ~u64{0xFFF}, u64{first.r9});
  EXPECT_EQ(u64{first.r10} & ~u64{0x60}, 0x83u) << "present, writable, large, gPA 0, no C-bit";
}

TEST(ManyVcpus, SevEsApsJumpThroughTheTable) {
  const LaunchPlan plan = plan_of(Mode::sev_es, 2);
  const svm::Vmsa& ap = plan.ap_state;
  EXPECT_EQ(u64{ap.cs.base}, boot_code);
  EXPECT_EQ(u16{ap.cs.selector}, boot_code >> 4);
  EXPECT_EQ(u64{ap.ds.base}, 0u);
  const u64 at = ap.cs.base + ap.rip;
  const u8 jump[] = {0xFF, 0x2E, 0x00, 0xC0};  // jmp far [C000h]
  for (unsigned i = 0; i < sizeof jump; ++i) {
    EXPECT_EQ(checks::byte_at(plan, at + i), jump[i]);
  }
}

// Linux maps the table by an encrypted ioremap, which refuses System RAM.
TEST(ManyVcpus, SevEsPagesAreReserved) {
  const LaunchPlan plan = plan_of(Mode::sev_es, 2);
  for (const u64 page : {boot_code, jump_table, ghcb}) {
    EXPECT_EQ(type_at(plan, page), boot::E820Type::reserved) << page;
  }
  EXPECT_EQ(type_at(plan, ghcb + page_size), boot::E820Type::ram);
}

TEST(ManyVcpus, WithoutNeedThereIsNoBootCode) {
  EXPECT_EQ(checks::byte_at(plan_of(Mode::sev_es, 1), boot_code), u8{0});
  EXPECT_EQ(checks::byte_at(plan_of(Mode::sev, 4), boot_code), u8{0});
  // Without paging there can be no GHCB yet.
  const LaunchPlan plan = plan_of(Mode::sev_es, 4, samples::multiboot_addresses());
  EXPECT_NE(u64{plan.entry_state.rip}, boot_code);
}

}  // namespace
}  // namespace softsnp::image
