// RUN_VMPL by MSR and by event: answers, refusals, and what each VMPL has of its own.
#include <gtest/gtest.h>

#include "arch/ghcb/ap_creation.hpp"
#include "arch/ghcb/response.hpp"
#include "arch/snp/features.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {
using ghcb::ApCreation;
using ghcb::ApRequest;

constexpr u64 vmsa_at = 0x7000;
constexpr u64 sev_information = 0x0002000133000001;
constexpr u64 if_mask = svm::interrupt_state::guest_interrupt_mask;

// VMPL2 of the only vCPU has a VMSA that waits to be adopted.
struct VmplVm : SnpVm {
  explicit VmplVm(u64 features = snp::feature::snp_active)
      : SnpVm(snp_config(features & ~snp::feature::snp_active)) {
    register_ghcb();
    ghcb::Ghcb page = event_page(ghcb::Event::ap_creation,
                                 encode(ApCreation{0, 2, 0, ApRequest::create_on_init}), vmsa_at);
    page.rax = features;
    page.valid_bitmap.set(ghcb::field::rax);
    page_exit(page);
    expect_answer(0, 0);
  }
  u64 run_msr(u8 vmpl) {
    msr_exit(ghcb::encode(ghcb::RunVmplRequest{vmpl}));
    return msr;
  }
  void run_event(u64 vmpl) { page_exit(event_page(ghcb::Event::run_vmpl, vmpl)); }
};

TEST(RunVmpl, BadTargetsByMsr) {
  SnpVm t;
  EXPECT_TRUE(
      std::holds_alternative<ShutdownExit>(t.msr_exit(ghcb::encode(ghcb::RunVmplRequest{4}))));
  EXPECT_EQ(t.msr, 0x1'0000'0017u);
  t.msr_exit(ghcb::encode(ghcb::RunVmplRequest{255}));
  EXPECT_EQ(t.msr, 0x1'0000'0017u);
  t.msr_exit(ghcb::encode(ghcb::RunVmplRequest{2}));
  EXPECT_EQ(t.msr, 0x1'0000'0017u) << "no VMSA";
  EXPECT_EQ(t.vcpu->vmpl(), Vmpl::vmpl0);
}

TEST(RunVmpl, BadTargetsByEvent) {
  SnpVm t;
  t.register_ghcb();
  for (const u64 vmpl : {u64{4}, u64{0x100000000}, ~u64{0}, u64{1}}) {
    t.page_exit(event_page(ghcb::Event::run_vmpl, vmpl));
    t.expect_answer(2, 5);
  }
  EXPECT_EQ(t.vcpu->vmpl(), Vmpl::vmpl0);
}

TEST(RunVmpl, TheVmplThatRunsIsNoChange) {
  SnpVm t;
  t.register_ghcb();
  t.page_exit(event_page(ghcb::Event::run_vmpl, 0));
  t.expect_answer(0, 0);
  t.msr_exit(ghcb::encode(ghcb::RunVmplRequest{0}));
  EXPECT_EQ(t.msr, 0x17u);
}

TEST(RunVmpl, EachVmplHasItsMsrAndItsAnswerWaits) {
  VmplVm t;
  EXPECT_EQ(t.run_msr(2), sev_information) << "VMPL2 runs with an MSR of its own";
  EXPECT_EQ(t.vcpu->vmpl(), Vmpl::vmpl2);
  EXPECT_EQ(t.run_msr(0), 0x17u) << "VMPL0 finds its answer";
  EXPECT_EQ(t.vcpu->vmpl(), Vmpl::vmpl0);
  EXPECT_EQ(t.run_msr(2), 0x17u) << "and VMPL2 its own";
}

TEST(RunVmpl, TheAnswerOfTheEventIsWrittenBeforeTheExchange) {
  VmplVm t;
  t.run_event(2);
  t.expect_answer(0, 0);
  EXPECT_EQ(t.msr, sev_information);
  EXPECT_EQ(t.vcpu->vmpl(), Vmpl::vmpl2);
  EXPECT_EQ(t.run_msr(0), ghcb_at.value()) << "VMPL0's MSR still names its GHCB";
}

TEST(RunVmpl, TheVmsaFollows) {
  VmplVm t;
  u64 first = 0, second = 0, third = 0;
  const auto step = [&t](u64& pointer, u8 to) {
    t.port.script.push_back([&pointer, to](svm::Vmcb& vmcb) {
      pointer = vmcb.vmsa_pointer;
      vmcb.ghcb = ghcb::encode(ghcb::RunVmplRequest{to});
      vmcb.exitcode = number(svm::ExitCode::vmgexit);
    });
  };
  step(first, 2);
  step(second, 0);
  step(third, 0);
  t.finish();
  EXPECT_NE(first, second);
  EXPECT_EQ(first, third);
  EXPECT_EQ(second % large_page_size, vmsa_at) << "the guest's page";
}

TEST(RunVmpl, EachVmplRegistersItsGhcb) {
  VmplVm t;
  t.run_msr(2);
  const KvmExit refused = t.page_exit(event_page(ghcb::Event::features));
  ASSERT_TRUE(std::holds_alternative<InternalErrorExit>(refused)) << "VMPL0's is not VMPL2's";
  t.port.script.clear();
  t.run_msr(0);
  t.page_exit(event_page(ghcb::Event::features));
  t.expect_answer(0, 0x33);
}

TEST(RunVmpl, InterruptsWaitForAVmplThatTakesThem) {
  VmplVm t;
  // The local APIC is on, and the interrupt comes while VMPL0 runs with its flag clear.
  ghcb::Ghcb svr = event_page(ghcb::Event::msr, 1);
  const auto wrmsr = [&](u32 number, u32 value) {
    svr.rcx = number;
    svr.rax = value;
    for (const unsigned f : {ghcb::field::rax, ghcb::field::rcx, ghcb::field::rdx}) {
      svr.valid_bitmap.set(f);
    }
    t.page_exit(svr);
    t.expect_answer(0, 0);
  };
  wrmsr(0x1B, 0xFEE00D00);
  wrmsr(0x80F, 0x1FF);
  t.vm->signal_msi(0xFEE00000, 0x51);
  t.finish();
  EXPECT_EQ(t.injected, 0u);
  t.run_msr(2);
  EXPECT_EQ(t.injected, 0u) << "VMPL2 has its own interrupt flag";
  t.port.script.push_back([](svm::Vmcb& vmcb) {
    EXPECT_NE(vmcb.vintr & svm::vintr::v_irq, 0u) << "the window is asked for again";
    vmcb.interrupt_state = if_mask;
    vmcb.exitcode = number(svm::ExitCode::vintr);
  });
  t.finish();
  EXPECT_EQ(t.injected, 0x80000051u);
}

TEST(RunVmpl, NothingIsInjectedWithRestrictedInjection) {
  VmplVm t(snp::feature::snp_active | snp::feature::restricted_injection);
  t.run_msr(2);
  t.vcpu->inject_nmi();
  t.port.script.push_back([](svm::Vmcb& vmcb) {
    EXPECT_EQ(vmcb.eventinj, 0u);
    EXPECT_EQ(vmcb.vintr & svm::vintr::v_irq, 0u);
    vmcb.interrupt_state = if_mask;
    vmcb.exitcode = number(svm::ExitCode::intr);
  });
  t.finish();
  EXPECT_EQ(t.injected, 0u);
  t.run_msr(0);
  EXPECT_EQ(t.injected, 0u) << "nor into VMPL0, which has no doorbell page either";
}

TEST(RunVmpl, AnInterruptedDeliveryIsOfItsVmpl) {
  VmplVm t;
  t.run_msr(2);
  t.port.script.push_back([](svm::Vmcb& vmcb) {
    vmcb.exitintinfo = svm::event::make(0x61, svm::event::Type::interrupt);
    vmcb.ghcb = ghcb::encode(ghcb::RunVmplRequest{0});
    vmcb.exitcode = number(svm::ExitCode::vmgexit);
  });
  t.finish();
  EXPECT_EQ(t.injected, 0u);
  t.run_msr(2);
  EXPECT_EQ(t.injected, 0x80000061u);
}

TEST(RunVmpl, EventsTellTheVmpl) {
  struct Seen final : Observer {
    void vmgexit(const VmgexitEvent& e) override { vmpls.push_back(e.vmpl); }
    std::vector<Vmpl> vmpls;
  } seen;
  SnpVm t(&seen);
  t.register_ghcb();
  ghcb::Ghcb page = event_page(ghcb::Event::ap_creation,
                               encode(ApCreation{0, 1, 0, ApRequest::create_on_init}), vmsa_at);
  page.valid_bitmap.set(ghcb::field::rax);
  t.page_exit(page);
  t.msr_exit(ghcb::encode(ghcb::RunVmplRequest{1}));
  t.msr_exit(ghcb::encode(ghcb::FeaturesRequest{}));
  EXPECT_EQ(seen.vmpls, (std::vector<Vmpl>{Vmpl::vmpl0, Vmpl::vmpl0, Vmpl::vmpl0, Vmpl::vmpl1}));
}

}  // namespace
}  // namespace softsnp::kvm
