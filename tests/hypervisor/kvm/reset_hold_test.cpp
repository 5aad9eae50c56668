// AP reset hold of SEV-ES guests by MSR and by event, and the TLB between vCPUs that share a core.
#include <gtest/gtest.h>

#include "arch/ghcb/response.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {

constexpr GuestPhysical ap_ghcb_at = ghcb_at + page_size;

// Two vCPUs whose guests are scripts of their own; one without a next step spins.
struct TwoVcpus {
  using Step = test::FakePort::Step;

  TwoVcpus() : port(64 * test_mib), kvm(make_kvm(port)) {
    VmConfig config;
    config.type = VmType::sev_es;
    vm = std::move(kvm->create_vm(config).value());
    EXPECT_TRUE(vm->set_memory_region(0, GuestPhysical(0), 8 * test_mib).ok());
    for (u32 i = 0; i < 2; ++i) {
      vcpus.push_back(vm->create_vcpu(i).value());
      EXPECT_TRUE(vcpus[i]->set_state({}).ok());
    }
    EXPECT_TRUE(vm->sev_launch_start({5, {}, {}}).ok());
    EXPECT_TRUE(vm->sev_launch_update_vmsa().ok());
    EXPECT_TRUE(vm->sev_launch_measure().ok());
    EXPECT_TRUE(vm->sev_launch_finish().ok());
    for (const auto& call : port.psp_calls) {
      if (call.command == psp::Command::launch_update_vmsa) {
        pages.push_back(load_le<psp::SevLaunchUpdate>(call.buffer.data()).paddr);
      }
    }
    EXPECT_EQ(pages.size(), 2u);
  }
  void run(u64 steps = 60) {
    port.script.assign(steps, [this](svm::Vmcb& vmcb) {
      const usize who = vmcb.vmsa_pointer == pages[1] ? 1 : 0;
      entries[who].push_back(vmcb);
      if (next[who].empty()) {
        vmcb.exitcode = number(svm::ExitCode::pause);
        return;
      }
      const Step step = std::move(next[who].front());
      next[who].pop_front();
      step(vmcb);
    });
    const VmExit exit = vm->run(vm->now() + steps * 100);
    EXPECT_TRUE(std::holds_alternative<InterruptedExit>(exit.exit)) << exit.exit.index();
  }
  Step msr_request(u64 value) {
    return [value](svm::Vmcb& vmcb) {
      vmcb.ghcb = value;
      vmcb.exitcode = number(svm::ExitCode::vmgexit);
    };
  }
  Step event(GuestPhysical at, const ghcb::Ghcb& page) {
    return [this, at, page](svm::Vmcb& vmcb) {
      EXPECT_TRUE(vm->write_shared(at, page.raw).ok());
      vmcb.ghcb = at.value();
      vmcb.exitcode = number(svm::ExitCode::vmgexit);
    };
  }
  Step wrmsr(u32 number, u64 value) {
    ghcb::Ghcb page = event_page(ghcb::Event::msr, 1);
    page.rcx = number;
    page.rax = static_cast<u32>(value);
    page.rdx = value >> 32;
    for (const unsigned f : {ghcb::field::rax, ghcb::field::rcx, ghcb::field::rdx}) {
      page.valid_bitmap.set(f);
    }
    return event(ghcb_at, page);
  }
  void send_init_and_startup() {
    next[0].push_back(wrmsr(0x1B, 0xFEE00D00));
    next[0].push_back(wrmsr(0x830, u64{1} << 32 | 0x4500));
    next[0].push_back(wrmsr(0x830, u64{1} << 32 | 0x4608));
  }
  void send_interrupt() { next[0].push_back(wrmsr(0x830, u64{1} << 32 | 0x4051)); }

  test::FakePort port;
  std::unique_ptr<Kvm> kvm;
  std::unique_ptr<Vm> vm;
  std::vector<Vcpu*> vcpus;
  std::vector<u64> pages;
  std::deque<Step> next[2];
  std::vector<svm::Vmcb> entries[2];  // as VMRUN found them
};

TEST(ResetHold, TheFirstSipiRunsTheLaunchVmsa) {
  TwoVcpus t;
  t.run();
  EXPECT_TRUE(t.entries[1].empty());
  EXPECT_EQ(t.vcpus[1]->mp_state(), MpState::uninitialized);
  t.send_init_and_startup();
  t.run();
  EXPECT_FALSE(t.entries[1].empty());
  EXPECT_EQ(t.entries[1][0].ghcb, ghcb::sev_information_response(1, 1, 51));
}

TEST(ResetHold, LaterSipisAnswerTheMsr) {
  TwoVcpus t;
  t.send_init_and_startup();
  t.next[1].push_back(t.msr_request(0x006));
  t.run();
  ASSERT_EQ(t.entries[1].size(), 1u);
  EXPECT_EQ(t.vcpus[1]->mp_state(), MpState::ap_reset_hold);
  t.send_init_and_startup();
  t.run();
  ASSERT_GT(t.entries[1].size(), 1u);
  EXPECT_EQ(t.entries[1][1].ghcb, 0x1007u);
}

TEST(ResetHold, LaterSipisAnswerTheEvent) {
  TwoVcpus t;
  t.send_init_and_startup();
  t.next[1].push_back(t.event(ap_ghcb_at, event_page(ghcb::Event::ap_reset_hold)));
  t.run();
  EXPECT_EQ(t.vcpus[1]->mp_state(), MpState::ap_reset_hold);
  t.send_init_and_startup();
  t.run();
  EXPECT_GT(t.entries[1].size(), 1u);
  ghcb::Ghcb answer{};
  ASSERT_TRUE(t.vm->read_shared(ap_ghcb_at, answer.raw).ok());
  EXPECT_EQ(answer.sw_exitinfo1, 0u);
  EXPECT_EQ(answer.sw_exitinfo2, 1u);
  EXPECT_TRUE(answer.valid_bitmap.has(ghcb::field::sw_exitinfo2));
}

TEST(ResetHold, InitAloneDoesNotEndIt) {
  TwoVcpus t;
  t.send_init_and_startup();
  t.next[1].push_back(t.msr_request(0x006));
  t.run();
  t.next[0].push_back(t.wrmsr(0x830, u64{1} << 32 | 0x4500));
  t.run();
  EXPECT_EQ(t.entries[1].size(), 1u);
  EXPECT_EQ(t.vcpus[1]->mp_state(), MpState::init_received);
}

TEST(ResetHold, AnInterruptIsASpuriousWake) {
  TwoVcpus t;
  t.send_init_and_startup();
  // The AP's own local APIC is on, and its interrupt flag set.
  ghcb::Ghcb svr = event_page(ghcb::Event::mmio_write, 0xFEE000F0, 4);
  svr.sw_scratch = ap_ghcb_at.value() + 0x800;
  svr.valid_bitmap.set(ghcb::field::sw_scratch);
  svr.raw[0x800] = 0xFF;
  svr.raw[0x801] = 0x01;
  t.next[1].push_back(t.event(ap_ghcb_at, svr));
  t.next[1].push_back([](svm::Vmcb& vmcb) {
    vmcb.interrupt_state = svm::interrupt_state::guest_interrupt_mask;
    vmcb.ghcb = 0x006;
    vmcb.exitcode = number(svm::ExitCode::vmgexit);
  });
  t.run();
  ASSERT_EQ(t.vcpus[1]->mp_state(), MpState::ap_reset_hold);
  t.send_interrupt();
  t.run();
  ASSERT_GT(t.entries[1].size(), 2u);
  EXPECT_EQ(t.entries[1][2].ghcb, 0x007u) << "no SIPI";
  EXPECT_EQ(t.entries[1][2].eventinj, 0x80000051u);
}

// The fake machine has two cores, so that vCPUs 0 and 2 share one, and an ASID.
TEST(TlbBetweenVcpus, AnotherVmcbOnTheCoreFlushesTheAsid) {
  SnpVm t(nullptr, 0, 3);
  std::vector<std::pair<u64, u8>> seen;  // VMSA, TLB_CONTROL
  const auto note = [&seen](svm::ExitCode code) {
    return [&seen, code](svm::Vmcb& vmcb) {
      seen.emplace_back(vmcb.vmsa_pointer, vmcb.tlb_control);
      vmcb.exitcode = number(code);
    };
  };
  const auto run = [&t, &note](Vcpu* vcpu) {
    t.port.script.push_back(note(svm::ExitCode::intr));
    t.port.script.push_back(note(svm::ExitCode::shutdown));
    (void)vcpu->run(far_deadline);
  };
  t.vm->signal_msi(0xFEE00000 | 2 << 12, 0x500);  // INIT
  t.vm->signal_msi(0xFEE00000 | 2 << 12, 0x600);  // SIPI
  run(t.all[0]);
  run(t.all[2]);
  run(t.all[0]);
  ASSERT_EQ(seen.size(), 6u);
  const u8 expected[] = {3, 0, 3, 0, 3, 0};
  for (usize i = 0; i < 6; ++i) {
    EXPECT_EQ(seen[i].second, expected[i]) << i;
  }
  EXPECT_NE(seen[0].first, seen[2].first);
}

}  // namespace
}  // namespace softsnp::kvm
