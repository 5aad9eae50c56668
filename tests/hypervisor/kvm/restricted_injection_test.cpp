// Restricted injection as the hypervisor does it. GHCB sheet 3.4, 3.8, 4.4.
#include <gtest/gtest.h>

#include "tests/hypervisor/kvm/injection_guest.hpp"

namespace softsnp::kvm {
namespace {

using Guest = InjectionGuest;
using ghcb::Event;
namespace at = ghcb::doorbell;
namespace feature = snp::feature;

TEST(Injection, FeatureBitsOnlyWhereConfigured) {
  using namespace ghcb::feature;
  constexpr u64 all = restricted_injection | restricted_injection_timer | extended_interrupts;
  const auto bits = [](u64 features, bool alternate) {
    Guest g(features, alternate);
    return g.ask(Event::features).second & all;
  };
  EXPECT_EQ(bits(0, false), 0u);
  EXPECT_EQ(bits(feature::restricted_injection, false),
            restricted_injection | restricted_injection_timer);
  EXPECT_EQ(bits(feature::restricted_injection, true), all);
}

TEST(Injection, EventsAreUnknownWhereTheyAreNotOffered) {
  Guest normal(0);
  Guest restricted;
  for (const Event event : {Event::hv_doorbell_page, Event::hv_ipi, Event::hv_timer}) {
    EXPECT_EQ(normal.ask(event), invalid_event) << name(event);
  }
  for (const Event event :
       {Event::configure_injection, Event::disable_alternate_injection, Event::specific_eoi}) {
    EXPECT_EQ(restricted.ask(event), invalid_event) << name(event);
  }
}

TEST(Restricted, DoorbellPageByEvent) {
  Guest g;
  EXPECT_EQ(g.ask(Event::hv_doorbell_page, 0), Guest::Reply(0, ~u64{0}));
  EXPECT_EQ(g.ask(Event::hv_doorbell_page, 2), Guest::Reply(0, ~u64{0}));
  EXPECT_EQ(g.ask(Event::hv_doorbell_page, 1, 0x300001), invalid_input);
  EXPECT_EQ(g.ask(Event::hv_doorbell_page, 1, 0x1000), invalid_input) << "private";
  EXPECT_EQ(g.ask(Event::hv_doorbell_page, 1, bell_at.value()), Guest::Reply(0, bell_at.value()));
  EXPECT_EQ(g.ask(Event::hv_doorbell_page, 2), Guest::Reply(0, bell_at.value()));
  EXPECT_EQ(g.ask(Event::hv_doorbell_page, 3), Guest::Reply(0, 0));
  EXPECT_EQ(g.ask(Event::hv_doorbell_page, 2), Guest::Reply(0, ~u64{0}));
}

TEST(Restricted, IpiArrivesInThePageAndHvSaysSo) {
  Guest g;
  g.start();
  EXPECT_EQ(g.ask(Event::hv_ipi, self_ipi | 0x41), Guest::Reply(0, 0));
  EXPECT_EQ(g.injected, ghcb::hv_event);
  EXPECT_EQ(g.bell(at::vector_at), 0x41);
  EXPECT_EQ(g.bell(at::flags_at), at::no_further_signal);
  // Until the guest has taken it, nothing more; then without a signal.
  EXPECT_EQ(g.ask(Event::hv_ipi, self_ipi | 0x51), Guest::Reply(0, 0));
  EXPECT_EQ(g.injected, 0u);
  EXPECT_EQ(g.bell(at::vector_at), 0x41);
  g.set_bell(at::vector_at, 0);
  g.finish();
  EXPECT_EQ(g.injected, 0u);
  EXPECT_EQ(g.bell(at::vector_at), 0x51) << "of higher priority than the one in service";
}

TEST(Restricted, IpiToAnotherVcpuRingsItsOwnDoorbell) {
  constexpr GuestPhysical other_bell(3 * test_mib + page_size);
  Guest g(feature::restricted_injection, false, 2);
  g.start();
  const auto to_other = [](u64 icr) { return u64{1} << 32 | icr; };
  EXPECT_EQ(g.ask(Event::hv_ipi, to_other(0x500)), Guest::Reply(0, 0)) << "INIT";
  EXPECT_EQ(g.ask(Event::hv_ipi, to_other(0x608)), Guest::Reply(0, 0)) << "SIPI";
  g.vcpu = g.all[1];
  g.register_ghcb();
  g.start_at(other_bell);
  g.vcpu = g.all[0];
  EXPECT_EQ(g.ask(Event::hv_ipi, to_other(0x41)), Guest::Reply(0, 0));
  EXPECT_EQ(g.injected, 0u);
  EXPECT_EQ(g.bell(at::vector_at), 0);
  g.vcpu = g.all[1];
  g.finish();
  EXPECT_EQ(g.injected, ghcb::hv_event);
  u8 vector = 0;
  EXPECT_TRUE(g.vm->read_shared(other_bell, {&vector, 1}).ok());
  EXPECT_EQ(vector, 0x41);
}

TEST(Restricted, IpisThatCannotBe) {
  Guest g;
  EXPECT_EQ(g.ask(Event::hv_ipi, self_ipi | bit(13)), invalid_input);
  EXPECT_TRUE(g.wrmsr(0x1B, 0xFEE00100));  // APIC off
  EXPECT_EQ(g.ask(Event::hv_ipi, self_ipi | 0x41), invalid_input);
}

TEST(Restricted, NothingGoesByTheVmcb) {
  Guest g;
  g.start();
  g.ask(Event::hv_ipi, self_ipi | 0x41);
  g.ask(Event::hv_ipi, self_ipi | 0x51);
  g.vcpu->inject_nmi();
  g.port.script.push_back([](svm::Vmcb& v) {
    EXPECT_EQ(v.vintr & svm::vintr::v_irq, 0u);
    EXPECT_EQ(v.intercept_misc1 & svm::misc1::vintr, 0u);
    v.exitcode = number(svm::ExitCode::intr);
    v.interrupt_state = svm::interrupt_state::guest_interrupt_mask;
  });
  g.finish();
  EXPECT_EQ(g.injected, 0u) << "NoFurtherSignal is still set";
  EXPECT_FALSE(g.vcpu->ready_for_extint());
  EXPECT_EQ(g.bell(at::flags_at), at::no_further_signal | at::nmi);
}

TEST(Restricted, NmiIsAFlag) {
  Guest g;
  g.start();
  g.vcpu->inject_nmi();
  g.finish();
  EXPECT_EQ(g.injected, ghcb::hv_event);
  EXPECT_EQ(g.bell(at::flags_at), at::no_further_signal | at::nmi);
  g.take_all();
  EXPECT_EQ(g.ask(Event::hv_ipi, self_ipi | 0x400), Guest::Reply(0, 0)) << "an NMI by IPI";
  EXPECT_EQ(g.bell(at::flags_at), at::no_further_signal | at::nmi);
}

TEST(Restricted, EoiByExchangeMakesRoomForTheNext) {
  Guest g;
  g.start();
  g.ask(Event::hv_ipi, self_ipi | 0x41);
  EXPECT_EQ(g.bell(at::no_eoi_at), 1);
  g.take_all();
  g.set_bell(at::no_eoi_at, 0);
  g.finish();  // an exit for whatever reason
  g.ask(Event::hv_ipi, self_ipi | 0x41);
  EXPECT_EQ(g.bell(at::vector_at), 0x41) << "the first is not in service any more";
}

TEST(Restricted, EoiMustBeWrittenWhereSomethingWaits) {
  Guest g;
  g.start();
  g.ask(Event::hv_ipi, self_ipi | 0x41);
  EXPECT_EQ(g.bell(at::no_eoi_at), 1);
  g.ask(Event::hv_ipi, self_ipi | 0x31);
  EXPECT_EQ(g.bell(at::no_eoi_at), 0);
  g.take_all();
  g.finish();
  EXPECT_EQ(g.bell(at::vector_at), 0) << "41h is in service";
  EXPECT_TRUE(g.wrmsr(0x80B, 0));
  EXPECT_EQ(g.bell(at::vector_at), 0x31);
  EXPECT_EQ(g.injected, ghcb::hv_event);
}

// GHCB sheet 4.4 (e).
TEST(Restricted, HvCutShortIsInjectedAgain) {
  Guest g;
  g.start();
  g.port.script.push_back([](svm::Vmcb& v) {
    v.exitintinfo = ghcb::hv_event;
    v.exitcode = number(svm::ExitCode::intr);
  });
  g.finish();
  EXPECT_EQ(g.injected, ghcb::hv_event);
  EXPECT_EQ(g.bell(at::flags_at), 0);
}

TEST(Restricted, TimerRaisesItsVectorOnceAndEndsAHaltWithInterruptsOff) {
  Guest g;
  g.start();
  EXPECT_EQ(g.ask(Event::hv_timer, 100'000'000, 0x1E), invalid_input);
  EXPECT_EQ(g.ask(Event::hv_timer, 100'000'000, 0x100), invalid_input);
  EXPECT_EQ(g.ask(Event::hv_timer, 100'000'000, 0x60), Guest::Reply(0, 0));
  g.port.script.push_back([](svm::Vmcb& v) {
    v.interrupt_state = 0;
    v.exitcode = number(svm::ExitCode::hlt);
  });
  g.finish();
  EXPECT_EQ(g.injected, ghcb::hv_event);
  EXPECT_EQ(g.bell(at::vector_at), 0x60);
  EXPECT_EQ(g.ask(Event::hv_timer, 0, 0x60), Guest::Reply(0, 0));
}

TEST(Restricted, TimerNeedsAnApicThatIsOn) {
  Guest g;
  EXPECT_EQ(g.ask(Event::hv_timer, 1, 0x60), invalid_input);
}

TEST(Restricted, WithoutADoorbellNothingEndsAHalt) {
  Guest g;
  g.enable_apic();
  g.ask(Event::hv_ipi, self_ipi | 0x41);
  EXPECT_EQ(g.injected, 0u);
  g.port.script.push_back([](svm::Vmcb& v) {
    v.interrupt_state = svm::interrupt_state::guest_interrupt_mask;
    v.exitcode = number(svm::ExitCode::hlt);
  });
  const KvmExit exit = g.vcpu->run(far_deadline);
  ASSERT_TRUE(std::holds_alternative<NoProgressExit>(exit));
  EXPECT_NE(std::get<NoProgressExit>(exit).why.find("no doorbell page"), std::string::npos);
}

// A page that the guest has made private takes nothing, and the host survives it.
TEST(Restricted, APrivateDoorbellPageIsNone) {
  Guest g;
  g.start();
  ASSERT_TRUE(g.vm->set_private(bell_at, page_size, true).ok());
  EXPECT_EQ(g.ask(Event::hv_ipi, self_ipi | 0x41), Guest::Reply(0, 0));
  EXPECT_EQ(g.injected, 0u);
}

TEST(Restricted, ExceptionsAreAskedForInTheGhcb) {
  Guest g;
  ghcb::Ghcb rdpmc = event_page(Event::rdpmc);
  rdpmc.valid_bitmap.set(ghcb::field::rcx);
  EXPECT_EQ(g.ask(rdpmc), Guest::Reply(1, ghcb::raise_gp));
  EXPECT_EQ(g.injected, 0u);
  EXPECT_EQ(g.ask(Event::rdtscp), Guest::Reply(1, ghcb::raise_ud));
  Guest normal(0);
  EXPECT_EQ(normal.ask(rdpmc), Guest::Reply(0, 0));
  EXPECT_EQ(normal.injected, ghcb::raise_gp);
}

}  // namespace
}  // namespace softsnp::kvm
