// Restricted and alternate injection: what reaches the guest, from where, and what stays behind.
// Hardware sheet 6.4, 8.2; the refusals are rows of refusal_test.cpp.
#include "tests/machine/cpu/svm/guest_bench.hpp"

namespace softsnp::cpu::test {
namespace {

using svm::ExitCode;
using x86::Gpr;
namespace ctrl = svm::vintr_ctrl;
namespace feature = snp::feature;
constexpr u64 hv_event = 0x8000031C;

// Real mode: everything is private, the interrupt vectors lie at 0.
struct RealGuest : GuestBench {
  static constexpr u16 handlers = 0x4000, stack_segment = 0x5000;

  explicit RealGuest(u64 features) : GuestBench(Kind::sev_es) {
    for (u32 v = 0; v < 256; ++v) {
      const u16 entry[] = {static_cast<u16>(v * 4), handlers};
      dram.write(SystemPhysical(u64{v} * 4), key(), {reinterpret_cast<const u8*>(entry), 4});
    }
    vmsa.sev_features = features;
    vmsa.ss.base = u64{stack_segment} << 4;
    vmsa.rsp = 0x1000;
    vmsa.rip = 0x10;
  }
  void enter() {
    write();
    ASSERT_TRUE(vmrun());
  }
  void leave() {
    svm.on_budget();
    reload();
  }
  bool took(u8 vector) { return state().seg[1].selector == handlers && state().rip == vector * 4u; }
  bool took_nothing() { return state().seg[1].selector == 0x9900 && state().rip == 0x10; }
  u16 pushed(unsigned word) {
    u16 value = 0;
    dram.read(SystemPhysical((u64{stack_segment} << 4) + gpr(Gpr::rsp) + 2 * word), key(),
              {reinterpret_cast<u8*>(&value), 2});
    return value;
  }
  Run run_op(SystemOp id) {
    op_ = {};
    info_ = {};
    info_.system_id = static_cast<u16>(id);
    info_.length = 2;
    block_.ops = &op_;
    block_.info = &info_;
    core->block = &block_;
    core->stop_op = &op_;
    return svm.on_system();
  }
  Op op_{};
  OpInfo info_{};
  Block block_;
};

struct Restricted : RealGuest {
  Restricted() : RealGuest(feature::restricted_injection) {}
};
struct Alternate : RealGuest {
  Alternate() : RealGuest(feature::alternate_injection) {}
};

constexpr u64 queued(u8 vector, u64 priority) {
  return ctrl::v_irq | (priority << 16) | (u64{vector} << 32);
}

// Neither RFLAGS.IF nor the interrupt shadow holds #HV back.
TEST(RestrictedInjection, HvArrivesWithInterruptsOff) {
  Restricted g;
  g.vmcb.eventinj = hv_event;
  g.vmcb.interrupt_state = svm::interrupt_state::shadow;
  g.enter();
  ASSERT_TRUE(g.svm.in_guest());
  EXPECT_TRUE(g.took(28));
  EXPECT_EQ(g.pushed(0), 0x10);
  EXPECT_EQ(g.pushed(1), 0x9900);
  EXPECT_EQ(g.gpr(Gpr::rsp), 0x1000u - 6);  // no error code
  ASSERT_EQ(g.recorder.deliveries.size(), 1u);
  EXPECT_FALSE(g.recorder.deliveries[0].has_error);
  g.leave();
  EXPECT_EQ(g.vmcb.eventinj, 0u);
}

TEST(RestrictedInjection, VirtualInterruptsAreNotQueued) {
  Restricted g;
  g.vmcb.vintr |= queued(0x30, 3);
  g.vmcb.intercept_misc1 |= svm::misc1::vintr;
  g.vmsa.rflags |= x86::rflags::if_;
  g.enter();
  EXPECT_EQ(g.svm.before_block(), Run::in_guest);
  EXPECT_TRUE(g.took_nothing());
  EXPECT_FALSE(g.core->event_pending);
  g.leave();
  EXPECT_EQ(g.exitcode(), ExitCode::intr);
  EXPECT_NE(g.vmcb.vintr & svm::vintr::v_irq, 0u);
}

// GHCB sheet 4.4 (e): the host sees that #HV did not arrive and injects it again.
TEST(RestrictedInjection, HvCutShortIsReported) {
  Restricted g;
  g.vmsa.ss.base = 0x3000000;  // beyond the nested tables
  g.vmcb.eventinj = hv_event;
  g.enter();
  EXPECT_FALSE(g.svm.in_guest());
  g.reload();
  EXPECT_EQ(g.exitcode(), ExitCode::npf);
  EXPECT_EQ(g.vmcb.exitintinfo, hv_event);
  EXPECT_EQ(g.vmsa.vintr_ctrl, 0u);  // BUSY is of alternate injection
}

TEST(AlternateInjection, TheVmcbsEventsAreIgnored) {
  Alternate g;
  g.vmcb.eventinj = svm::event::make(2, svm::event::Type::nmi);
  g.vmcb.vintr |= queued(0x30, 3);
  g.vmcb.interrupt_state = svm::interrupt_state::shadow;
  g.vmsa.rflags |= x86::rflags::if_;
  g.enter();
  EXPECT_EQ(g.svm.before_block(), Run::in_guest);
  EXPECT_TRUE(g.took_nothing());
  EXPECT_FALSE(g.state().interrupt_shadow);
  const u64 before = g.vmcb.vintr;
  g.leave();
  EXPECT_EQ(g.vmcb.vintr, before);
  EXPECT_EQ(g.vmcb.eventinj, svm::event::make(2, svm::event::Type::nmi));
}

TEST(AlternateInjection, EventOfTheVmsa) {
  for (const auto type : {svm::event::Type::interrupt, svm::event::Type::nmi}) {
    const u8 vector = type == svm::event::Type::nmi ? 2 : 0x41;
    Alternate g;
    g.vmsa.eventinj = svm::event::make(vector, type);
    g.enter();
    EXPECT_TRUE(g.took(vector));
    g.leave();
    EXPECT_EQ(g.vmsa.eventinj, 0u);
  }
}

TEST(AlternateInjection, QueuedInterruptWaitsForIfShadowAndTpr) {
  Alternate g;
  g.vmsa.vintr_ctrl = queued(0x30, 3) | ctrl::vgif | ctrl::int_shadow | 3;
  g.enter();
  EXPECT_TRUE(g.state().interrupt_shadow);
  const auto still_waits = [&] {
    return g.svm.before_block() == Run::in_guest && g.took_nothing();
  };
  EXPECT_TRUE(still_waits());  // V_TPR
  g.system.controls().vintr &= ~u64{3};
  EXPECT_TRUE(still_waits());  // RFLAGS.IF
  EXPECT_TRUE(g.core->event_pending);
  g.state().system_flags |= x86::rflags::if_;
  EXPECT_TRUE(still_waits());  // shadow
  g.leave();
  EXPECT_EQ(g.vmsa.vintr_ctrl, queued(0x30, 3) | ctrl::vgif | ctrl::int_shadow);
  EXPECT_EQ(g.vmcb.interrupt_state & svm::interrupt_state::shadow, 0u);
  g.vmsa.vintr_ctrl &= ~ctrl::int_shadow;
  g.enter();
  EXPECT_EQ(g.svm.before_block(), Run::in_guest);
  EXPECT_TRUE(g.took(0x30));
  g.leave();
  EXPECT_EQ(g.vmsa.vintr_ctrl & ctrl::v_irq, 0u);
}

TEST(AlternateInjection, InterruptWindowExitsToTheHost) {
  Alternate g;
  g.vmsa.vintr_ctrl = queued(0x30, 3);
  g.vmsa.rflags |= x86::rflags::if_;
  g.vmcb.intercept_misc1 |= svm::misc1::vintr;
  g.enter();
  EXPECT_EQ(g.svm.before_block(), Run::exited);
  g.reload();
  EXPECT_EQ(g.exitcode(), ExitCode::vintr);
  EXPECT_NE(g.vmsa.vintr_ctrl & ctrl::v_irq, 0u);
  EXPECT_EQ(g.vmsa.guest_exitcode, svm::number(ExitCode::vintr));
}

// Hardware sheet 7.3: until VMPL0 has seen to the lost event, nobody may run the VMSA.
TEST(AlternateInjection, LostEventMakesTheVmsaBusy) {
  Alternate g;
  g.vmsa.ss.base = 0x3000000;
  g.vmsa.eventinj = svm::event::make(0x41, svm::event::Type::interrupt);
  g.enter();
  EXPECT_FALSE(g.svm.in_guest());
  g.reload();
  EXPECT_EQ(g.exitcode(), ExitCode::npf);
  EXPECT_EQ(g.vmsa.guest_exitintinfo, svm::event::make(0x41, svm::event::Type::interrupt));
  EXPECT_NE(g.vmsa.vintr_ctrl & ctrl::busy, 0u);
  g.enter();
  EXPECT_EQ(g.exitcode(), ExitCode::busy);
  g.reload();
  g.vmsa.vintr_ctrl &= ~ctrl::busy;
  g.vmsa.ss.base = 0x50000;
  g.vmsa.eventinj = g.vmsa.guest_exitintinfo;
  g.enter();
  EXPECT_TRUE(g.took(0x41));
}

TEST(AlternateInjection, TaskPriorityIsInTheVmsa) {
  Alternate g;
  g.enter();
  g.gpr(Gpr::rax) = 9;
  g.system.controls().vintr |= 9;  // as MOV CR8 leaves it
  g.leave();
  EXPECT_EQ(g.vmsa.vintr_ctrl & ctrl::v_tpr, 9u);
  EXPECT_EQ(g.vmcb.vintr & svm::vintr::v_tpr, 0u);
}

// MSRs 800h-8FFh, though the host intercepts no MSR at all.
TEST(AlternateInjection, X2apicIsNeverTheHostsToGive) {
  const auto vcs = [](u64 features, u32 msr, SystemOp op) {
    RealGuest g(features);
    g.enter();
    g.gpr(Gpr::rcx) = msr;
    g.run_op(op);
    return g.recorder.vcs.size();
  };
  for (const SystemOp op : {SystemOp::rdmsr, SystemOp::wrmsr}) {
    EXPECT_EQ(vcs(feature::alternate_injection, 0x800, op), 1u);
    EXPECT_EQ(vcs(feature::alternate_injection, 0x8FF, op), 1u);
    EXPECT_EQ(vcs(feature::alternate_injection, 0x7FF, op), 0u);
    EXPECT_EQ(vcs(feature::alternate_injection, 0x900, op), 0u);
    EXPECT_EQ(vcs(feature::restricted_injection, 0x808, op), 0u);
  }
}

TEST(InjectionModes, PhysicalEventsAreAlwaysTheHosts) {
  for (const u64 mode : {u64{0}, feature::restricted_injection, feature::alternate_injection}) {
    RealGuest g(mode);
    g.vmcb.intercept_misc1 = 0;
    g.enter();
    for (const ExitCode code :
         {ExitCode::intr, ExitCode::nmi, ExitCode::init, ExitCode::exception_mc}) {
      EXPECT_EQ(g.system.intercepts(code), mode != 0) << svm::number(code);
    }
    EXPECT_FALSE(g.system.intercepts(ExitCode::smi));
    EXPECT_FALSE(g.system.intercepts(ExitCode::vintr));
  }
}

TEST(InjectionModes, SevStatusShowsThem) {
  const auto status = [](u64 features) {
    RealGuest g(features);
    g.enter();
    u64 value = 0;
    EXPECT_TRUE(g.system.read_msr(x86::msr::sev_status, value));
    return value;
  };
  EXPECT_EQ(status(feature::restricted_injection), 3 | bit(5));
  EXPECT_EQ(status(feature::alternate_injection), 3 | bit(6));
}

TEST(InjectionModes, CpuidOffersThem) {
  FakePlatform platform;
  EXPECT_EQ(get_bits(platform.cpuid(0x8000001F, 0).eax, 13, 12), 3u);
  EXPECT_TRUE(has_bit(platform.cpuid(0x8000000A, 0).edx, 30));
}

TEST(IdleHlt, NotWithAVirtualInterruptThatEndsIt) {
  Alternate g;
  g.vmcb.intercept_misc1 &= ~svm::misc1::hlt;
  g.vmcb.intercept_misc3 = svm::misc3::idle_hlt;
  g.vmsa.rflags |= x86::rflags::if_;
  g.enter();
  ASSERT_EQ(g.run_op(SystemOp::hlt), Run::exited);
  g.reload();
  EXPECT_EQ(g.exitcode(), ExitCode::idle_hlt);
  EXPECT_EQ(g.vmsa.rip, 0x12u);
  g.vmsa.vintr_ctrl = queued(0x30, 3);
  g.enter();
  ASSERT_EQ(g.run_op(SystemOp::hlt), Run::in_guest);
  EXPECT_EQ(g.svm.before_block(), Run::in_guest);
  EXPECT_TRUE(g.took(0x30));
  EXPECT_EQ(g.pushed(0), 0x14);
}

}  // namespace
}  // namespace softsnp::cpu::test
