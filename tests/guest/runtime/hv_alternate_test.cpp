// Alternate injection as VMPL0 does it. GHCB sheet 4.4; hardware sheet 6.4, 7.3, 8.2.
#include "guest/runtime/hv_alternate.hpp"

#include <gtest/gtest.h>

#include "arch/svm/vmcb.hpp"
#include "arch/x86/registers.hpp"

namespace softsnp::guest {
namespace {

namespace ctrl = svm::vintr_ctrl;
namespace status = ghcb::vmpl_status;
using svm::event::make;
using svm::event::Type;

constexpr u64 queued(u8 vector) {
  return ctrl::v_irq | u64{vector} << 32 | static_cast<u64>(vector >> 4) << 16;
}

struct Page : ghcb::DoorbellPage {
  Page() : DoorbellPage{} {}
  ghcb::VmplInterrupts& of(unsigned level) {
    vmpl_events = static_cast<u8>(vmpl_events | 1u << (level - 1));
    return vmpl[level - 1];
  }
};

TEST(VmplInterrupts, OneVector) {
  Page page;
  page.of(2).status = 0x61;
  EXPECT_EQ(take_vmpl_interrupts(page, 1).edges.highest(), 0) << "of another VMPL";
  const VmplTaken taken = take_vmpl_interrupts(page, 2);
  EXPECT_EQ(taken.edges.highest(), 0x61);
  EXPECT_EQ(taken.level, 0);
  EXPECT_EQ(page.vmpl[1].status, 0u);
  EXPECT_EQ(page.vmpl_events, 0);
  EXPECT_EQ(take_vmpl_interrupts(page, 2).edges.highest(), 0);
}

TEST(VmplInterrupts, ManyAtOnce) {
  Page page;
  ghcb::VmplInterrupts& there = page.of(2);
  there.status = 0x50 | status::level_sensitive | status::multiple_vectors | status::nmi |
                 status::vector_31 | status::ipi_requested;
  there.irr[0] = 1;
  there.irr[6] = 1u << 31;
  const VmplTaken taken = take_vmpl_interrupts(page, 2);
  EXPECT_EQ(taken.level, 0x50);
  EXPECT_TRUE(taken.nmi);
  EXPECT_TRUE(taken.edges.has(31));
  EXPECT_TRUE(taken.edges.has(32));
  EXPECT_TRUE(taken.edges.has(255));
  EXPECT_FALSE(taken.edges.has(0x50));
  EXPECT_EQ(there.status, status::ipi_requested);
  EXPECT_EQ(there.irr[0] | there.irr[6], 0u);
}

struct Lower {
  Lower() { vmsa.rflags = x86::rflags::if_; }
  AlternateApic apic;
  svm::Vmsa vmsa{};
};

TEST(AlternateApic, NowIfTheVmplTakesIt) {
  Lower l;
  l.apic.post(0x61);
  l.apic.present(l.vmsa);
  EXPECT_EQ(l.vmsa.eventinj, make(0x61, Type::interrupt));
  EXPECT_EQ(l.vmsa.vintr_ctrl, 0u);
  EXPECT_EQ(l.apic.in_service(), 0x61);
}

TEST(AlternateApic, InItsWindowOtherwise) {
  const auto closed = [](auto close) {
    Lower l;
    close(l.vmsa);
    const u64 before = l.vmsa.vintr_ctrl;
    l.apic.post(0x61);
    l.apic.present(l.vmsa);
    EXPECT_EQ(l.vmsa.eventinj, 0u);
    EXPECT_EQ(l.vmsa.vintr_ctrl, before | queued(0x61));
  };
  closed([](auto& v) { v.rflags = 0; });
  closed([](auto& v) { v.vintr_ctrl = ctrl::int_shadow; });
  closed([](auto& v) { v.vintr_ctrl = 6; });  // V_TPR
}

TEST(AlternateApic, WhatWasNotTakenIsPendingAgain) {
  for (const bool on : {true, false}) {
    Lower l;
    l.vmsa.rflags = on ? x86::rflags::if_ : 0;
    l.apic.post(0x61);
    l.apic.present(l.vmsa);
    l.apic.post(0x71);
    l.apic.present(l.vmsa);  // the higher one goes first
    EXPECT_EQ(l.apic.in_service(), 0x71);
    l.vmsa.eventinj = 0;  // hardware took it
    l.vmsa.vintr_ctrl &= ~ctrl::v_irq;
    l.apic.recall(l.vmsa);
    EXPECT_EQ(l.apic.in_service(), 0x71);
    l.apic.present(l.vmsa);
    EXPECT_EQ(l.vmsa.eventinj, 0u) << "61h must wait for the EOI";
    EXPECT_EQ(l.apic.end_of_interrupt(), 0x71);
    l.apic.present(l.vmsa);
    EXPECT_EQ(l.apic.in_service(), 0x61);
  }
}

TEST(AlternateApic, NmiBeforeInterrupts) {
  Lower l;
  l.apic.post(0x61);
  l.apic.post_nmi();
  l.apic.present(l.vmsa);
  EXPECT_EQ(l.vmsa.eventinj, make(2, Type::nmi));
  l.apic.recall(l.vmsa);  // not taken
  EXPECT_TRUE(l.apic.pending());
  l.apic.present(l.vmsa);
  EXPECT_EQ(l.vmsa.eventinj, make(2, Type::nmi));
  l.vmsa.eventinj = 0;
  l.apic.present(l.vmsa);
  EXPECT_EQ(l.vmsa.eventinj, make(0x61, Type::interrupt));
}

TEST(AlternateApic, LostEventsAreInjectedAgain) {
  Lower l;
  l.apic.post(0x61);
  l.apic.present(l.vmsa);
  l.vmsa.eventinj = 0;  // given up half-way
  l.vmsa.guest_exitintinfo = make(0x61, Type::interrupt);
  l.vmsa.vintr_ctrl |= ctrl::busy;
  l.apic.post(0x71);
  l.apic.present(l.vmsa);
  EXPECT_EQ(l.vmsa.eventinj, make(0x61, Type::interrupt));
  EXPECT_EQ(l.vmsa.vintr_ctrl, 0u);
  EXPECT_EQ(l.apic.in_service(), 0x61);
}

}  // namespace
}  // namespace softsnp::guest
