#include "hypervisor/kvm/lapic.hpp"

#include <gtest/gtest.h>

namespace softsnp::kvm {
namespace {
namespace reg = apic_register;

constexpr u64 ghz = 1000000000;
ApicTime at(u64 tsc) {
  return {tsc, ghz, 0};
}

Lapic enabled_lapic() {
  Lapic lapic(0);
  (void)lapic.write(reg::svr, 0x1FF, at(0));
  return lapic;
}

TEST(Lapic, PowerOnState) {
  const Lapic lapic(0);
  EXPECT_EQ(lapic.base(), 0xFEE00900u);
  EXPECT_EQ(lapic.read(reg::version, at(0)), 0x50014u);
  EXPECT_EQ(lapic.read(reg::svr, at(0)), 0xFFu);
  EXPECT_EQ(lapic.read(reg::lvt_timer, at(0)), 0x10000u);
  EXPECT_TRUE(lapic.accepts_extint());
  EXPECT_TRUE(lapic.owns_mmio(0xFEE00020));
  EXPECT_FALSE(lapic.owns_mmio(0xFEE01000));
}

TEST(Lapic, HighestVectorAbovePriorityIsDelivered) {
  Lapic lapic = enabled_lapic();
  EXPECT_TRUE(lapic.deliver(DeliveryMode::fixed, 0x31, Lapic::Trigger::edge));
  EXPECT_TRUE(lapic.deliver(DeliveryMode::fixed, 0x52, Lapic::Trigger::edge));
  EXPECT_EQ(lapic.pending_vector(), u8{0x52});
  lapic.acknowledge(0x52);
  EXPECT_EQ(lapic.pending_vector(), std::nullopt);
  EXPECT_EQ(lapic.read(reg::ppr, at(0)), 0x50u);
  // Same class is not enough, a higher one is.
  lapic.deliver(DeliveryMode::fixed, 0x5F, Lapic::Trigger::edge);
  EXPECT_EQ(lapic.pending_vector(), std::nullopt);
  lapic.deliver(DeliveryMode::fixed, 0x60, Lapic::Trigger::edge);
  EXPECT_EQ(lapic.pending_vector(), u8{0x60});
  EXPECT_EQ(lapic.write(reg::eoi, 0, at(0)), std::nullopt);
  lapic.acknowledge(0x60);
  (void)lapic.write(reg::eoi, 0, at(0));
  EXPECT_EQ(lapic.pending_vector(), u8{0x5F});
}

TEST(Lapic, TaskPriorityHoldsBack) {
  Lapic lapic = enabled_lapic();
  (void)lapic.write(reg::tpr, 0x40, at(0));
  lapic.deliver(DeliveryMode::fixed, 0x4F, Lapic::Trigger::edge);
  EXPECT_EQ(lapic.pending_vector(), std::nullopt);
  (void)lapic.write(reg::tpr, 0x30, at(0));
  EXPECT_EQ(lapic.pending_vector(), u8{0x4F});
}

TEST(Lapic, DisabledOrLowVectorsAreNotAccepted) {
  Lapic lapic(0);
  EXPECT_FALSE(lapic.deliver(DeliveryMode::fixed, 0x40, Lapic::Trigger::edge));
  Lapic on = enabled_lapic();
  EXPECT_FALSE(on.deliver(DeliveryMode::fixed, 15, Lapic::Trigger::edge));
}

TEST(Lapic, LevelEoiNamesItsVector) {
  Lapic lapic = enabled_lapic();
  lapic.deliver(DeliveryMode::fixed, 0x41, Lapic::Trigger::level);
  lapic.acknowledge(0x41);
  EXPECT_EQ(lapic.write(reg::eoi, 0, at(0)), std::optional<u8>(0x41));
  lapic.deliver(DeliveryMode::fixed, 0x41, Lapic::Trigger::edge);
  lapic.acknowledge(0x41);
  EXPECT_EQ(lapic.write(reg::eoi, 0, at(0)), std::nullopt);
}

TEST(LapicTimer, OneShotCountsNanoseconds) {
  Lapic lapic = enabled_lapic();
  (void)lapic.write(reg::lvt_timer, 0xEC, at(0));
  (void)lapic.write(reg::timer_divide, 0xB, at(0));  // by 1
  (void)lapic.write(reg::timer_initial, 1000, at(500));
  EXPECT_EQ(lapic.next_timer(), 1500u);
  EXPECT_EQ(lapic.read(reg::timer_current, at(700)), 800u);
  lapic.advance(at(1499));
  EXPECT_EQ(lapic.pending_vector(), std::nullopt);
  lapic.advance(at(1500));
  EXPECT_EQ(lapic.pending_vector(), u8{0xEC});
  EXPECT_EQ(lapic.next_timer(), 0u);
  EXPECT_EQ(lapic.read(reg::timer_current, at(1600)), 0u);
}

TEST(LapicTimer, DividesByPowersOfTwo) {
  const std::pair<u32, u64> rows[] = {{0x0, 2},  {0x1, 4},  {0x2, 8},   {0x3, 16},
                                      {0x8, 32}, {0x9, 64}, {0xA, 128}, {0xB, 1}};
  for (const auto& [code, divisor] : rows) {
    Lapic lapic = enabled_lapic();
    (void)lapic.write(reg::timer_divide, code, at(0));
    (void)lapic.write(reg::timer_initial, 10, at(0));
    EXPECT_EQ(lapic.next_timer(), 10 * divisor) << code;
  }
}

TEST(LapicTimer, PeriodicRearmsAndMergesMissedPeriods) {
  Lapic lapic = enabled_lapic();
  (void)lapic.write(reg::lvt_timer, 0x200EC, at(0));
  (void)lapic.write(reg::timer_divide, 0xB, at(0));
  (void)lapic.write(reg::timer_initial, 100, at(0));
  lapic.advance(at(100));
  EXPECT_EQ(lapic.next_timer(), 200u);
  lapic.advance(at(450));
  EXPECT_EQ(lapic.next_timer(), 500u);
  EXPECT_EQ(lapic.pending_vector(), u8{0xEC});
}

TEST(LapicTimer, MaskedTimerRunsSilently) {
  Lapic lapic = enabled_lapic();
  (void)lapic.write(reg::timer_divide, 0xB, at(0));
  (void)lapic.write(reg::timer_initial, 100, at(0));
  EXPECT_FALSE(lapic.timer_can_interrupt());
  lapic.advance(at(200));
  EXPECT_EQ(lapic.pending_vector(), std::nullopt);
}

TEST(LapicTimer, DeadlineModeFollowsTheGuestsTsc) {
  Lapic lapic = enabled_lapic();
  const ApicTime now{5000, ghz, u64{0} - 4000};  // guest TSC 1000
  lapic.set_tsc_deadline(1500, now);
  EXPECT_EQ(lapic.next_timer(), 0u) << "ignored outside deadline mode";
  (void)lapic.write(reg::lvt_timer, 0x400EC, now);
  lapic.set_tsc_deadline(1500, now);
  EXPECT_EQ(lapic.next_timer(), 5500u);
  EXPECT_EQ(lapic.tsc_deadline(), 1500u);
  lapic.advance({5500, ghz, u64{0} - 4000});
  EXPECT_EQ(lapic.pending_vector(), u8{0xEC});
  EXPECT_EQ(lapic.tsc_deadline(), 0u);
  lapic.set_tsc_deadline(3, {6000, ghz, u64{0} - 4000});
  EXPECT_EQ(lapic.next_timer(), 6000u) << "a deadline in the past is due at once";
  lapic.set_tsc_deadline(0, now);
  EXPECT_EQ(lapic.next_timer(), 0u);
  lapic.set_tsc_deadline(~u64{0}, now);
  EXPECT_EQ(lapic.next_timer(), ~u64{0}) << "beyond the clock: never";
}

TEST(Lapic, BaseTransitions) {
  constexpr u64 address = apic_base::default_address | apic_base::bsp;
  Lapic lapic(0);
  EXPECT_FALSE(lapic.set_base(address | apic_base::x2apic)) << "x2APIC without enable";
  EXPECT_TRUE(lapic.set_base(address | apic_base::enabled | apic_base::x2apic));
  EXPECT_TRUE(lapic.is_x2apic());
  EXPECT_FALSE(lapic.owns_mmio(0xFEE00000));
  EXPECT_FALSE(lapic.set_base(address | apic_base::enabled)) << "x2APIC to xAPIC";
  EXPECT_TRUE(lapic.set_base(address));
  EXPECT_FALSE(lapic.set_base(address | apic_base::enabled | apic_base::x2apic))
      << "disabled to x2APIC";
  EXPECT_TRUE(lapic.set_base(address | apic_base::enabled));
  EXPECT_FALSE(lapic.set_base(address | apic_base::enabled | 1)) << "reserved bit";
}

TEST(Lapic, X2apicMsrs) {
  Lapic lapic(0);
  EXPECT_EQ(lapic.read_msr(0x802, at(0)), std::nullopt) << "#GP in xAPIC mode";
  ASSERT_TRUE(lapic.set_base(lapic.base() | apic_base::x2apic));
  EXPECT_TRUE(lapic.write_msr(0x80F, 0x1FF, at(0)).ok);
  EXPECT_EQ(lapic.read_msr(0x802, at(0)), u64{0});
  EXPECT_EQ(lapic.read_msr(0x80D, at(0)), u64{1});
  EXPECT_EQ(lapic.read_msr(0x80E, at(0)), std::nullopt) << "no DFR";
  EXPECT_EQ(lapic.read_msr(0x831, at(0)), std::nullopt) << "no ICR high half";
  EXPECT_FALSE(lapic.write_msr(0x80B, 1, at(0)).ok) << "EOI takes 0 only";
  EXPECT_FALSE(lapic.write_msr(0x808, u64{1} << 32, at(0)).ok);
  EXPECT_TRUE(lapic.write_msr(0x83F, 0x77, at(0)).ok);
  EXPECT_EQ(lapic.pending_vector(), u8{0x77});
  // Self-IPI through the ICR's shorthand.
  EXPECT_TRUE(lapic.write_msr(0x830, 0x40088, at(0)).ok);
  EXPECT_EQ(lapic.pending_vector(), u8{0x88});
  lapic.acknowledge(0x88);
  EXPECT_TRUE(lapic.write_msr(0x80B, 0, at(0)).ok);
}

TEST(Lapic, DestinationMatching) {
  Lapic lapic = enabled_lapic();
  EXPECT_TRUE(lapic.matches(0, false));
  EXPECT_FALSE(lapic.matches(1, false));
  EXPECT_TRUE(lapic.matches(0xFF, false));
  (void)lapic.write(reg::ldr, 0x02000000, at(0));
  EXPECT_TRUE(lapic.matches(0x02, true));
  EXPECT_FALSE(lapic.matches(0x01, true));
  (void)lapic.write(reg::dfr, 0x0FFFFFFF, at(0));
  (void)lapic.write(reg::ldr, 0x31000000, at(0));
  EXPECT_TRUE(lapic.matches(0x31, true));
  EXPECT_FALSE(lapic.matches(0x21, true));
  EXPECT_FALSE(lapic.matches(0x32, true));
}

TEST(Lapic, SoftwareDisableMasksTheLvt) {
  Lapic lapic = enabled_lapic();
  (void)lapic.write(reg::lvt_lint0, 0x700, at(0));
  EXPECT_TRUE(lapic.accepts_extint());
  (void)lapic.write(reg::svr, 0xFF, at(0));
  EXPECT_FALSE(lapic.accepts_extint());
  (void)lapic.write(reg::lvt_lint0, 0x700, at(0));
  EXPECT_NE(lapic.read(reg::lvt_lint0, at(0)) & lvt::masked, 0u);
}

TEST(Lapic, NmiIsTakenOnce) {
  Lapic lapic = enabled_lapic();
  EXPECT_TRUE(lapic.deliver(DeliveryMode::nmi, 0, Lapic::Trigger::edge));
  EXPECT_TRUE(lapic.take_nmi());
  EXPECT_FALSE(lapic.take_nmi());
}

TEST(Lapic, InitKeepsBaseModeAndId) {
  Lapic lapic(5, Lapic::Role::ap);
  ASSERT_TRUE(lapic.set_base(lapic.base() | apic_base::x2apic));
  EXPECT_EQ(lapic.base() & apic_base::bsp, 0u);
  (void)lapic.write(reg::svr, 0x1FF, at(0));
  (void)lapic.write(reg::tpr, 0x20, at(0));
  lapic.deliver(DeliveryMode::fixed, 0x51, Lapic::Trigger::edge);
  lapic.deliver(DeliveryMode::nmi, 0, Lapic::Trigger::edge);
  lapic.reset();
  EXPECT_TRUE(lapic.is_x2apic());
  EXPECT_EQ(lapic.read(reg::id, at(0)), 5u);
  EXPECT_EQ(lapic.read(reg::ldr, at(0)), 0x20u);
  EXPECT_EQ(lapic.read(reg::svr, at(0)), 0xFFu);
  EXPECT_EQ(lapic.read(reg::tpr, at(0)), 0u);
  EXPECT_EQ(lapic.read(reg::irr + 0x20, at(0)), 0u);
  EXPECT_FALSE(lapic.take_nmi());
  EXPECT_FALSE(lapic.accepts_extint()) << "LINT0 of an AP is masked";
}

TEST(Lapic, InitForgetsAnEarlierStartup) {
  Lapic lapic(1, Lapic::Role::ap);
  EXPECT_TRUE(lapic.deliver(DeliveryMode::startup, 0x08, Lapic::Trigger::edge));
  EXPECT_TRUE(lapic.deliver(DeliveryMode::init, 0, Lapic::Trigger::edge));
  EXPECT_EQ(lapic.take_startup(), std::nullopt);
  EXPECT_TRUE(lapic.deliver(DeliveryMode::startup, 0x09, Lapic::Trigger::edge));
  EXPECT_TRUE(lapic.take_init());
  EXPECT_FALSE(lapic.take_init());
  EXPECT_EQ(lapic.take_startup(), u8{0x09});
}

TEST(Lapic, TheIcrOfAnXapicHasTwoHalves) {
  Lapic lapic = enabled_lapic();
  (void)lapic.write(reg::icr_high, 0x03FFFFFF, at(0));
  EXPECT_EQ(lapic.take_ipi(), std::nullopt) << "the low half sends";
  (void)lapic.write(reg::icr_low, 0x5040, at(0));
  EXPECT_EQ(lapic.take_ipi(), std::optional<u64>(0x0300000000004040)) << "never busy";
  EXPECT_EQ(lapic.take_ipi(), std::nullopt);
  EXPECT_EQ(lapic.read(reg::icr_high, at(0)), 0x03000000u);
}

TEST(Lapic, BroadcastsDependOnWhoSends) {
  Lapic lapic(1, Lapic::Role::ap);
  EXPECT_TRUE(lapic.matches(0xFF, false, Lapic::Source::ipi));
  ASSERT_TRUE(lapic.set_base(lapic.base() | apic_base::x2apic));
  EXPECT_FALSE(lapic.matches(0xFF, false, Lapic::Source::ipi));
  EXPECT_TRUE(lapic.matches(0xFF, false, Lapic::Source::msi));
  EXPECT_TRUE(lapic.matches(0xFFFFFFFF, false, Lapic::Source::ipi));
}

}  // namespace
}  // namespace softsnp::kvm
