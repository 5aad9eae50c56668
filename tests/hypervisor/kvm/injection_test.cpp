// Restricted and alternate injection as the hypervisor does them. GHCB sheet 3.4, 3.8, 4.4;
// svsm sheet 8.2.
#include <gtest/gtest.h>

#include "arch/ghcb/ap_creation.hpp"
#include "arch/ghcb/doorbell.hpp"
#include "arch/ghcb/response.hpp"
#include "arch/snp/features.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {

using ghcb::Event;
namespace at = ghcb::doorbell;
namespace status = ghcb::vmpl_status;
namespace feature = snp::feature;

constexpr GuestPhysical bell_at(3 * test_mib);
constexpr u64 self_ipi = 0x40000;  // shorthand self

VmConfig config_of(u64 features, bool alternate) {
  VmConfig config;
  config.type = VmType::snp;
  config.vmsa_features = features;
  config.alternate_injection = alternate;
  return config;
}

struct Guest : SnpVm {
  using Reply = std::pair<u64, u64>;

  explicit Guest(u64 features = feature::restricted_injection, bool alternate = false,
                 u32 vcpus = 1)
      : SnpVm(config_of(features, alternate), vcpus) {
    register_ghcb();
  }
  Reply ask(const ghcb::Ghcb& request) {
    page_exit(request);
    const ghcb::Ghcb answer = page();
    return {answer.sw_exitinfo1, answer.sw_exitinfo2};
  }
  Reply ask(Event event, u64 info1 = 0, u64 info2 = 0) {
    return ask(event_page(event, info1, info2));
  }
  bool wrmsr(u32 number, u64 value) {
    ghcb::Ghcb request = event_page(Event::msr, 1);
    request.rcx = number;
    request.rax = value & 0xFFFFFFFF;
    request.rdx = value >> 32;
    for (const unsigned f : {ghcb::field::rcx, ghcb::field::rax, ghcb::field::rdx}) {
      request.valid_bitmap.set(f);
    }
    return ask(request).first == 0;
  }
  void enable_apic() {
    EXPECT_TRUE(wrmsr(0x1B, 0xFEE00D00));
    EXPECT_TRUE(wrmsr(0x80F, 0x1FF));
  }
  void start() { start_at(bell_at); }
  void start_at(GuestPhysical page) {
    EXPECT_EQ(ask(Event::hv_doorbell_page, 1, page.value()), Reply(0, page.value()));
    enable_apic();
  }
  u8 bell(unsigned offset) {
    u8 byte = 0;
    EXPECT_TRUE(vm->read_shared(bell_at + offset, {&byte, 1}).ok());
    return byte;
  }
  void set_bell(unsigned offset, u8 value) {
    EXPECT_TRUE(vm->write_shared(bell_at + offset, {&value, 1}).ok());
  }
  // As the guest's handler leaves it.
  void take_all() {
    set_bell(at::flags_at, 0);
    set_bell(at::vector_at, 0);
  }
  ghcb::VmplInterrupts interrupts(unsigned vmpl) {
    ghcb::VmplInterrupts value{};
    EXPECT_TRUE(vm->read_shared(bell_at + at::interrupts_at(vmpl),
                                {reinterpret_cast<u8*>(&value), sizeof value})
                    .ok());
    return value;
  }
  void set_interrupts(unsigned vmpl, const ghcb::VmplInterrupts& value) {
    EXPECT_TRUE(vm->write_shared(bell_at + at::interrupts_at(vmpl),
                                 {reinterpret_cast<const u8*>(&value), sizeof value})
                    .ok());
  }
};

const Guest::Reply invalid_input{2, 5}, invalid_event{2, 6};

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
