// Two VMPLs of one vCPU and their interrupts, with alternate injection and without. GHCB sheet 3.4,
// 4.4; svsm sheet 8.2.
#include <gtest/gtest.h>

#include "tests/hypervisor/kvm/injection_guest.hpp"

namespace softsnp::kvm {
namespace {

using Guest = InjectionGuest;
using ghcb::Event;
namespace at = ghcb::doorbell;
namespace status = ghcb::vmpl_status;
namespace feature = snp::feature;

TEST(Injection, VmsasOfModesThatAreNotOffered) {
  const auto create = [](Guest& g, u8 vmpl, u64 features) {
    ghcb::Ghcb request = event_page(
        Event::ap_creation, ghcb::encode({0, vmpl, 0, ghcb::ApRequest::create_on_init}), 0x1000);
    request.rax = feature::snp_active | features;
    request.valid_bitmap.set(ghcb::field::rax);
    return g.ask(request);
  };
  const Guest::Reply done{0, 0};
  Guest normal(0);
  EXPECT_EQ(create(normal, 2, feature::restricted_injection), invalid_input);
  EXPECT_EQ(create(normal, 2, feature::alternate_injection), invalid_input);
  EXPECT_EQ(create(normal, 2, 0), done);
  Guest restricted;
  EXPECT_EQ(create(restricted, 2, feature::alternate_injection), invalid_input);
  EXPECT_EQ(create(restricted, 2, feature::restricted_injection), done);
  Guest alternate(feature::restricted_injection, true);
  EXPECT_EQ(create(alternate, 2, feature::alternate_injection | feature::restricted_injection),
            invalid_input);
  EXPECT_EQ(create(alternate, 2, feature::alternate_injection), done);
}

// VMPL2 below VMPL0, and VMPL2 runs.
struct TwoLevels : Guest {
  explicit TwoLevels(u64 features) : Guest(feature::restricted_injection, true) {
    start();
    ghcb::Ghcb request = event_page(
        Event::ap_creation, ghcb::encode({0, 2, 0, ghcb::ApRequest::create_on_init}), 0x1000);
    request.rax = feature::snp_active | features;
    request.valid_bitmap.set(ghcb::field::rax);
    EXPECT_EQ(ask(request), Reply(0, 0));
  }
  void run_vmpl2() {
    msr_exit(ghcb::encode(ghcb::RunVmplRequest{2}));
    EXPECT_EQ(vcpu->vmpl(), Vmpl::vmpl2);
  }
  void device(u8 vector, bool level = false) {
    vm->signal_msi(0xFEE00000, vector | (level ? 0xC000u : 0u));
  }
};

TEST(Alternate, ADevicesInterruptGoesToVmpl0) {
  TwoLevels g(feature::alternate_injection);
  EXPECT_EQ(g.ask(Event::configure_injection, 0x50), Guest::Reply(0, 0));
  g.run_vmpl2();
  g.device(0x61);
  g.finish();
  EXPECT_EQ(g.vcpu->vmpl(), Vmpl::vmpl0) << "preempted";
  EXPECT_EQ(g.injected, ghcb::hv_event);
  EXPECT_EQ(g.msr, ghcb::run_vmpl_response(0));
  EXPECT_EQ(g.bell(at::vector_at), 0x50);
  EXPECT_EQ(g.bell(at::vmpl_events_at), 1u << 1);
  EXPECT_EQ(g.interrupts(2).status, 0x61u);
  g.device(0x71);
  g.finish();
  EXPECT_EQ(g.interrupts(2).status, status::multiple_vectors);
  EXPECT_EQ(g.interrupts(2).irr[2], 1u << 1 | 1u << 17);
}

TEST(Alternate, WithoutAVectorHvAloneTells) {
  TwoLevels g(feature::alternate_injection);
  g.run_vmpl2();
  g.device(0x61);
  g.finish();
  EXPECT_EQ(g.vcpu->vmpl(), Vmpl::vmpl0);
  EXPECT_EQ(g.injected, ghcb::hv_event);
  EXPECT_EQ(g.bell(at::vector_at), 0);
}

TEST(Alternate, LevelInterruptsWaitForTheSpecificEoi) {
  TwoLevels g(feature::alternate_injection);
  const u8 levels[] = {0x61, 0x62};
  g.vm->set_ioapic_level_vectors(levels);
  g.device(0x61, true);
  g.device(0x62, true);
  g.finish();
  EXPECT_EQ(g.interrupts(2).status, 0x61u | status::level_sensitive);
  g.set_interrupts(2, {});
  EXPECT_EQ(g.ask(Event::specific_eoi, ghcb::alternate::specific_eoi(1, 0x61)), invalid_input);
  const auto eoi = event_page(Event::specific_eoi, ghcb::alternate::specific_eoi(2, 0x61));
  const KvmExit exit = g.page_exit(eoi);
  ASSERT_TRUE(std::holds_alternative<IoapicEoiExit>(exit));
  EXPECT_EQ(std::get<IoapicEoiExit>(exit).vector, 0x61);
  EXPECT_EQ(g.interrupts(2).status, 0x62u | status::level_sensitive);
}

TEST(Alternate, AHaltIsInterceptedOnlyWhenItIsIdle) {
  TwoLevels g(feature::alternate_injection);
  g.run_vmpl2();
  g.port.script.push_back([](svm::Vmcb& v) {
    EXPECT_EQ(v.intercept_misc1 & svm::misc1::hlt, 0u);
    EXPECT_NE(v.intercept_misc3 & svm::misc3::idle_hlt, 0u);
    v.exitcode = number(svm::ExitCode::idle_hlt);
  });
  g.device(0x61);
  g.device(0x62);
  g.port.script.push_back([](svm::Vmcb& v) {
    EXPECT_NE(v.intercept_misc1 & svm::misc1::hlt, 0u);
    EXPECT_EQ(v.intercept_misc3 & svm::misc3::idle_hlt, 0u);
    v.exitcode = number(svm::ExitCode::shutdown);
  });
  g.port.script.pop_front();
  g.vcpu->run(far_deadline);
  EXPECT_EQ(g.vcpu->vmpl(), Vmpl::vmpl0);
}

TEST(Alternate, ABusyVmsaIsVmpl0sAffair) {
  TwoLevels g(feature::alternate_injection);
  g.run_vmpl2();
  g.port.script.push_back([](svm::Vmcb& v) { v.exitcode = number(svm::ExitCode::busy); });
  g.finish();
  EXPECT_EQ(g.vcpu->vmpl(), Vmpl::vmpl0);
  g.port.script.push_back([](svm::Vmcb& v) { v.exitcode = number(svm::ExitCode::busy); });
  EXPECT_TRUE(std::holds_alternative<FailEntryExit>(g.vcpu->run(far_deadline)));
}

TEST(Alternate, TheHostTakesTheApicBack) {
  namespace alternate = ghcb::alternate;
  TwoLevels g(feature::alternate_injection);
  ghcb::VmplInterrupts left{};
  left.status = status::multiple_vectors;
  left.irr[3] = 1u << 2;  // 82h
  left.isr[2] = 1u << 1;  // 41h
  g.run_vmpl2();
  g.msr_exit(ghcb::encode(ghcb::RunVmplRequest{0}));
  g.set_interrupts(2, left);
  EXPECT_EQ(g.ask(Event::disable_alternate_injection, alternate::hand_over(1, 0, false, true)),
            invalid_input);
  EXPECT_EQ(g.ask(Event::disable_alternate_injection, alternate::hand_over(2, 0x30, false, true)),
            Guest::Reply(0, 0));
  g.run_vmpl2();
  EXPECT_EQ(g.injected, svm::event::make(0x82, svm::event::Type::interrupt));
  g.register_ghcb();
  EXPECT_EQ(g.ask(Event::specific_eoi, alternate::specific_eoi(2, 0x82)), invalid_input)
      << "not VMPL0's any more, and not for VMPL2 to say";
}

// [K24], [K26]: VMPL0's interrupts are VMPL0's, the guest's are the guest's.
TEST(Levels, EachHasItsOwnInterrupts) {
  TwoLevels g(0);
  g.device(0x61);
  g.finish();
  EXPECT_EQ(g.injected, 0u);
  EXPECT_EQ(g.bell(at::vector_at), 0) << "a device's interrupt is not VMPL0's";
  g.ask(Event::hv_ipi, self_ipi | 0x41);
  EXPECT_EQ(g.bell(at::vector_at), 0x41);
  g.take_all();
  g.run_vmpl2();
  g.port.script.push_back([](svm::Vmcb& v) {
    EXPECT_EQ(v.eventinj, 0u);
    v.interrupt_state = svm::interrupt_state::guest_interrupt_mask;
    v.exitcode = number(svm::ExitCode::intr);
  });
  g.finish();
  EXPECT_EQ(g.vcpu->vmpl(), Vmpl::vmpl2);
}

}  // namespace
}  // namespace softsnp::kvm
