// The run loop: interrupts, halts, faults and refusals, on an SNP guest.
#include <gtest/gtest.h>

#include "arch/snp/features.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {

TEST(SnpVcpu, TheVmcbHasWhatHardwareDemands) {
  SnpVm t;
  t.port.script.push_back([](svm::Vmcb& v) {
    using namespace svm;
    EXPECT_EQ(v.np_and_sev, np_and_sev::np_enable | np_and_sev::sev | np_and_sev::sev_es);
    EXPECT_EQ(v.lbr_and_virt & 1, 1u);
    EXPECT_NE(v.vmsa_pointer, 0u);
    EXPECT_EQ(v.asid, 1u);
    EXPECT_EQ(v.tlb_control, 3) << "first use of the ASID";
    EXPECT_NE(v.intercept_misc2 & misc2::vmrun, 0u);
    EXPECT_EQ(v.intercept_misc1 & misc1::rdtsc, 0u);
    v.exitcode = number(ExitCode::intr);
  });
  t.port.script.push_back([](svm::Vmcb& v) {
    EXPECT_EQ(v.tlb_control, 0);
    v.exitcode = number(svm::ExitCode::shutdown);
  });
  t.vcpu->run(far_deadline);
}

TEST(SnpVcpu, ShrinkingMappingsFlushTheTlb) {
  SnpVm t;
  t.port.script.push_back([](svm::Vmcb& v) {
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = snp::npf::enc;
    v.exitinfo2 = 0x3000;
  });
  t.finish();
  ASSERT_TRUE(t.vm->set_private(GuestPhysical(0x3000), 0x1000, false).ok());
  t.port.script.push_back([](svm::Vmcb& v) {
    EXPECT_EQ(v.tlb_control, 3);
    v.exitcode = number(svm::ExitCode::shutdown);
  });
  t.vcpu->run(far_deadline);
  EXPECT_EQ(t.vm->counters().psmash, 1u);
}

TEST(SnpVcpu, MismatchedAccessAsksTheVmm) {
  SnpVm t;
  t.port.script.push_back([](svm::Vmcb& v) {
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = 6;
    v.exitinfo2 = 0x3123;
  });
  const KvmExit exit = t.vcpu->run(far_deadline);
  ASSERT_TRUE(std::holds_alternative<MemoryFaultExit>(exit));
  EXPECT_EQ(std::get<MemoryFaultExit>(exit).address, GuestPhysical(0x3000));
  EXPECT_FALSE(std::get<MemoryFaultExit>(exit).is_private);
}

TEST(SnpVcpu, AFaultThatNobodyCanResolveIsNamed) {
  SnpVm t;
  for (int i = 0; i < 1001; ++i) {
    t.port.script.push_back([](svm::Vmcb& v) {
      v.exitcode = number(svm::ExitCode::npf);
      v.exitinfo1 = snp::npf::enc | snp::npf::rmp | snp::npf::vmpl | 5;
      v.exitinfo2 = 0x3000;
    });
  }
  const KvmExit exit = t.vcpu->run(far_deadline);
  ASSERT_TRUE(std::holds_alternative<NoProgressExit>(exit));
  EXPECT_NE(std::get<NoProgressExit>(exit).why.find("VMPL permission denied"), std::string::npos);
  EXPECT_EQ(t.port.vmruns, 1000u);
}

TEST(SnpVcpu, InterruptFlagComesFromTheInterruptState) {
  SnpVm t;
  EXPECT_FALSE(t.vcpu->ready_for_extint());
  t.port.script.push_back([](svm::Vmcb& v) {
    v.interrupt_state = svm::interrupt_state::guest_interrupt_mask;
    v.exitcode = number(svm::ExitCode::hlt);
  });
  EXPECT_TRUE(std::holds_alternative<InterruptedExit>(t.vcpu->run(50000)));
  EXPECT_TRUE(t.vcpu->ready_for_extint());
  t.vcpu->queue_extint(0x31);
  t.finish();
  EXPECT_EQ(t.injected, 0x80000031u);
}

TEST(SnpVcpu, NmiWaitsForNmiComplete) {
  SnpVm t;
  t.register_ghcb();
  t.vcpu->inject_nmi();
  t.finish();
  EXPECT_EQ(t.injected, 0x80000202u);
  t.vcpu->inject_nmi();
  t.finish();
  EXPECT_EQ(t.injected, 0u);
  t.page_exit(event_page(ghcb::Event::nmi_complete));
  EXPECT_EQ(t.injected, 0x80000202u);
}

TEST(SnpVcpu, KvmclockIsWrittenOnceItsPageIsShared) {
  SnpVm t;
  t.register_ghcb();
  ghcb::Ghcb page = event_page(ghcb::Event::msr, 1);
  page.rcx = 0x4B564D01;
  page.rax = 0x5001;
  for (const unsigned f : {ghcb::field::rax, ghcb::field::rcx, ghcb::field::rdx}) {
    page.valid_bitmap.set(f);
  }
  t.page_exit(page);
  t.expect_answer(0, 0);
  ASSERT_TRUE(t.vm->set_private(GuestPhysical(0x5000), 0x1000, false).ok());
  t.finish();
  std::vector<u8> clock(32);
  ASSERT_TRUE(t.vm->read_shared(GuestPhysical(0x5000), clock).ok());
  EXPECT_NE(load_le<u32>(clock.data()), 0u);
  EXPECT_EQ(load_le<u32>(clock.data()) % 2, 0u);
  EXPECT_EQ(load_le<u32>(clock.data() + 24), 0x80000000u);  // 1 GHz
  EXPECT_EQ(clock[28], 1);
  EXPECT_EQ(clock[29], 1);
}

TEST(SnpVcpu, StateIsClosedAfterTheLaunch) {
  SnpVm t;
  EXPECT_EQ(t.vcpu->set_state(svm::Vmsa{}).error().number, EPERM);
  EXPECT_EQ(t.vcpu->state().rip, 0u);
}

TEST(SnpVcpu, ObserversSeeExitsAndDoNotSteer) {
  struct Seen final : Observer {
    void vmgexit(const VmgexitEvent& e) override { exits.push_back(e); }
    void npf(const NpfEvent& e) override { faults.push_back(e); }
    std::vector<VmgexitEvent> exits;
    std::vector<NpfEvent> faults;
  } seen;
  SnpVm t(&seen);
  t.register_ghcb();
  t.port.script.push_back([](svm::Vmcb& v) {
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = snp::npf::enc;
    v.exitinfo2 = 0x3000;
  });
  t.page_exit(event_page(ghcb::Event::features));
  ASSERT_EQ(seen.exits.size(), 2u);
  EXPECT_STREQ(seen.exits[0].name, "register GHCB");
  EXPECT_STREQ(seen.exits[1].name, "hypervisor features");
  EXPECT_EQ(seen.exits[1].answer2, 0x33u);
  ASSERT_EQ(seen.faults.size(), 1u);
  EXPECT_EQ(seen.faults[0].resolution, NpfResolution::mapped_2m);
}

}  // namespace
}  // namespace softsnp::kvm
