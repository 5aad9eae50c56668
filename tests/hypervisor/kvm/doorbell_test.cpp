// The doorbell page as the guest sees it. GHCB sheet 3.8, 4.4.
#include "hypervisor/kvm/doorbell.hpp"

#include "hypervisor/kvm/vmpl_interrupts.hpp"
#include "tests/hypervisor/kvm/slot_fixture.hpp"

namespace softsnp::kvm {
namespace {

namespace at = ghcb::doorbell;
namespace status = ghcb::vmpl_status;
using ghcb::Malformed;

constexpr u64 page = 0x5000;

struct Page : SlotFixture {
  Page() : SlotFixture(VmType::snp), doorbell(*memory, state) {
    EXPECT_EQ(set(region(0, 0, 4 * mib)), 0);
    EXPECT_EQ(*doorbell.request(1, page), page);
  }
  int byte(unsigned offset) { return get(page + offset); }
  void put_byte(unsigned offset, u8 value) { put(page + offset, value); }
  DoorbellState state;
  Doorbell doorbell;
};

TEST(Doorbell, FourRequests) {
  Page p;
  EXPECT_EQ(*p.doorbell.request(0, 0), ~u64{0});
  EXPECT_EQ(*p.doorbell.request(2, 0), page);
  EXPECT_EQ(*p.doorbell.request(1, 0x6000), 0x6000u);
  EXPECT_EQ(*p.doorbell.request(2, 0), 0x6000u);
  EXPECT_EQ(*p.doorbell.request(3, 0), 0u);
  EXPECT_EQ(*p.doorbell.request(2, 0), ~u64{0});
  EXPECT_FALSE(p.state.page.has_value());
}

TEST(Doorbell, WhatIsNoPageUnregistersTheOldOne) {
  const u64 bad[][2] = {{1, 0x5001}, {1, 64u << 20}, {1, ~u64{0xFFF}}, {4, page}, {bit(32), page}};
  for (const auto& [action, gpa] : bad) {
    Page p;
    const auto answer = p.doorbell.request(action, gpa);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error(), Malformed::invalid_input);
    EXPECT_FALSE(p.state.page.has_value());
  }
  Page p;
  ASSERT_TRUE(p.memory->set_private(GuestPhysical(0x7000), 0x1000, true).ok());
  EXPECT_FALSE(p.doorbell.request(1, 0x7000).ok()) << "a private page";
}

TEST(Doorbell, OneVectorAtATimeAndOneSignal) {
  Page p;
  ASSERT_TRUE(p.doorbell.takes_vector());
  EXPECT_TRUE(p.doorbell.post_vector(0x41, false));
  EXPECT_EQ(p.byte(at::vector_at), 0x41);
  EXPECT_EQ(p.byte(at::flags_at), at::no_further_signal);
  EXPECT_FALSE(p.doorbell.takes_vector());
  p.put_byte(at::vector_at, 0);  // taken, the flags not yet
  ASSERT_TRUE(p.doorbell.takes_vector());
  EXPECT_FALSE(p.doorbell.post_vector(0x42, false)) << "the guest is on its way already";
  EXPECT_EQ(p.byte(at::vector_at), 0x42);
  p.put_byte(at::flags_at, 0);
  p.put_byte(at::vector_at, 0);
  EXPECT_TRUE(p.doorbell.post_vector(0x43, false));
}

TEST(Doorbell, NmiIsAFlagOfItsOwn) {
  Page p;
  p.doorbell.post_vector(0x41, false);
  ASSERT_TRUE(p.doorbell.takes_nmi());
  EXPECT_FALSE(p.doorbell.post_nmi());
  EXPECT_EQ(p.byte(at::flags_at), at::no_further_signal | at::nmi);
  EXPECT_FALSE(p.doorbell.takes_nmi());
  p.put_byte(at::flags_at, 0);
  EXPECT_TRUE(p.doorbell.post_nmi());
  EXPECT_EQ(p.byte(at::flags_at), at::no_further_signal | at::nmi);
}

TEST(Doorbell, WithoutAPageNothingIsTaken) {
  Page p;
  ASSERT_TRUE(p.memory->set_private(GuestPhysical(page), 0x1000, true).ok());
  EXPECT_FALSE(p.doorbell.takes_vector());
  EXPECT_FALSE(p.doorbell.takes_nmi());
  EXPECT_FALSE(p.doorbell.post_nmi());
  EXPECT_FALSE(p.doorbell.take_eoi());
  p.doorbell.clear();
  EXPECT_FALSE(p.doorbell.takes_vector());
}

TEST(Doorbell, EndOfInterruptByExchange) {
  Page p;
  p.doorbell.post_vector(0x41, true);
  EXPECT_EQ(p.byte(at::no_eoi_at), 1);
  EXPECT_FALSE(p.doorbell.take_eoi());
  p.put_byte(at::no_eoi_at, 0);
  EXPECT_TRUE(p.doorbell.take_eoi());
  EXPECT_FALSE(p.doorbell.take_eoi());
  p.doorbell.post_vector(0x41, true);
  p.doorbell.withdraw_eoi();
  EXPECT_EQ(p.byte(at::no_eoi_at), 0);
  EXPECT_FALSE(p.doorbell.take_eoi());
}

TEST(VmplInterrupts, OneEdgeGoesByTheVectorSeveralByTheIrr) {
  ghcb::VmplInterrupts d{};
  EXPECT_TRUE(present_edge(d, 0x41));
  EXPECT_EQ(d.status, 0x41u);
  EXPECT_TRUE(present_edge(d, 0x62));
  EXPECT_EQ(d.status, status::multiple_vectors);
  EXPECT_EQ(d.irr[1], 1u << 1);
  EXPECT_EQ(d.irr[2], 1u << 2);
  EXPECT_TRUE(present_edge(d, 31));
  EXPECT_EQ(d.status, status::multiple_vectors | status::vector_31);
}

TEST(VmplInterrupts, ALevelVectorKeepsItsPlace) {
  ghcb::VmplInterrupts d{};
  EXPECT_TRUE(present_edge(d, 0x41));
  EXPECT_TRUE(present_level(d, 0x50));
  EXPECT_EQ(d.status, 0x50u | status::level_sensitive | status::multiple_vectors);
  EXPECT_EQ(d.irr[1], 1u << 1);
  EXPECT_TRUE(present_level(d, 0x50));
  EXPECT_FALSE(present_level(d, 0x51));
  EXPECT_TRUE(present_edge(d, 0x60));
  EXPECT_EQ(d.status & status::vector, 0x50u);
  EXPECT_EQ(d.irr[2], 1u);
}

TEST(VmplInterrupts, NmiAndHandOver) {
  ghcb::VmplInterrupts d{};
  present_edge(d, 0x41);
  present_nmi(d);
  d.status |= status::vector_31;
  d.irr[6] = 5;
  d.isr[3] = 9;
  const HandedOver taken = take_over(d);
  EXPECT_TRUE(taken.nmi);
  EXPECT_EQ(taken.irr[0], 1u << 31);
  EXPECT_EQ(taken.irr[2], 1u << 1);
  EXPECT_EQ(taken.irr[7], 5u);
  EXPECT_EQ(taken.isr[3], 9u);
}

}  // namespace
}  // namespace softsnp::kvm
