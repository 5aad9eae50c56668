// SEV and SEV-ES VMs: the firmware commands that a launch makes, in KVM's order, and their undoing.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {

using psp::Command;

struct SevVm {
  explicit SevVm(VmType type) : port(64 * test_mib), kvm(make_kvm(port)) {
    VmConfig config;
    config.type = type;
    vm = std::move(kvm->create_vm(config).value());
    EXPECT_TRUE(vm->set_memory_region(0, GuestPhysical(0), 8 * test_mib).ok());
    vcpu = vm->create_vcpu(0).value();
    EXPECT_TRUE(vcpu->set_state({}).ok());
    before = port.psp_calls.size();
  }
  std::vector<Command> commands() const {
    std::vector<Command> order;
    for (usize i = before; i < port.psp_calls.size(); ++i) {
      if (port.psp_calls[i].command != Command::snp_page_reclaim) {
        order.push_back(port.psp_calls[i].command);
      }
    }
    return order;
  }
  bool launch(u32 policy) {
    return vm->sev_launch_start({policy, {}, {}}).ok() &&
           vm->sev_launch_update_data(GuestPhysical(0x1000), 2 * page_size).ok() &&
           ((policy & 4) == 0 || vm->sev_launch_update_vmsa().ok()) &&
           vm->sev_launch_measure().ok() && vm->sev_launch_finish().ok();
  }
  // The guest's next exit, as step makes it; then a shutdown.
  KvmExit exit(test::FakePort::Step step) {
    port.script.push_back(std::move(step));
    port.script.push_back([](svm::Vmcb& vmcb) { vmcb.exitcode = number(svm::ExitCode::shutdown); });
    return vcpu->run(far_deadline);
  }

  test::FakePort port;
  std::unique_ptr<Kvm> kvm;
  std::unique_ptr<Vm> vm;
  Vcpu* vcpu = nullptr;
  usize before = 0;
};

TEST(SevLaunch, TheHostBringsSnpUpFirst) {
  const SevVm t(VmType::sev);
  std::vector<Command> order;
  for (const auto& call : t.port.psp_calls) {
    order.push_back(call.command);
  }
  EXPECT_EQ(order, (std::vector<Command>{Command::snp_init_ex, Command::snp_df_flush, Command::init,
                                         Command::df_flush}));
  const auto init = load_le<psp::SevInit>(t.port.psp_calls[2].buffer.data());
  EXPECT_EQ(init.flags, 1);
  EXPECT_TRUE(is_aligned(init.tmr_paddr, 2 * test_mib));
  EXPECT_EQ(t.port.entry(SystemPhysical(init.tmr_paddr)).immutable, 1);
}

TEST(SevLaunch, OrderOfCommands) {
  SevVm sev(VmType::sev);
  ASSERT_TRUE(sev.launch(1));
  EXPECT_EQ(sev.commands(),
            (std::vector<Command>{Command::launch_start, Command::activate,
                                  Command::launch_update_data, Command::launch_update_data,
                                  Command::launch_measure, Command::launch_finish}));
  SevVm es(VmType::sev_es);
  ASSERT_TRUE(es.launch(5));
  EXPECT_EQ(
      es.commands(),
      (std::vector<Command>{Command::launch_start, Command::activate, Command::launch_update_data,
                            Command::launch_update_data, Command::launch_update_vmsa,
                            Command::launch_measure, Command::launch_finish}));
}

TEST(SevLaunch, AsidsAreOfTheirKind) {
  SevVm sev(VmType::sev);
  ASSERT_TRUE(sev.vm->sev_launch_start({1, {}, {}}).ok());
  const auto upper = load_le<psp::SevActivate>(sev.port.psp_calls.back().buffer.data());
  EXPECT_EQ(upper.asid, 100u);
  SevVm es(VmType::sev_es);
  ASSERT_TRUE(es.vm->sev_launch_start({5, {}, {}}).ok());
  const auto lower = load_le<psp::SevActivate>(es.port.psp_calls.back().buffer.data());
  EXPECT_EQ(lower.asid, 1u);
}

TEST(SevLaunch, PolicyAndTypeAgree) {
  SevVm sev(VmType::sev);
  EXPECT_EQ(sev.vm->sev_launch_start({5, {}, {}}).error().number, EINVAL);
  SevVm es(VmType::sev_es);
  EXPECT_EQ(es.vm->sev_launch_start({1, {}, {}}).error().number, EINVAL);
  EXPECT_EQ(es.vm->sev_launch_start({5, {1}, {}}).error().number, EINVAL) << "half a session";
  EXPECT_EQ(es.port.count(Command::launch_start), 0u);
}

TEST(SevLaunch, CommandsOutOfOrderAreRefusedBeforeTheFirmware) {
  SevVm t(VmType::sev);
  Vm& vm = *t.vm;
  EXPECT_EQ(vm.sev_launch_update_data(GuestPhysical(0), page_size).error().number, EINVAL);
  EXPECT_EQ(vm.sev_launch_measure().error().number, EINVAL);
  EXPECT_EQ(vm.sev_launch_finish().error().number, EINVAL);
  EXPECT_TRUE(t.commands().empty());
  ASSERT_TRUE(vm.sev_launch_start({1, {}, {}}).ok());
  EXPECT_EQ(vm.sev_launch_start({1, {}, {}}).error().number, EINVAL);
  EXPECT_EQ(vm.sev_launch_finish().error().number, EINVAL) << "not measured";
  EXPECT_EQ(vm.sev_launch_update_vmsa().error().number, ENOTTY);
  ASSERT_TRUE(vm.sev_launch_measure().ok());
  EXPECT_EQ(vm.sev_launch_update_data(GuestPhysical(0), page_size).error().number, EINVAL);
}

TEST(SevLaunch, BadRangesChangeNothing) {
  SevVm t(VmType::sev);
  ASSERT_TRUE(t.vm->sev_launch_start({1, {}, {}}).ok());
  const usize calls = t.port.psp_calls.size();
  const std::pair<u64, u64> bad[] = {
      {0x800, page_size}, {0, 0x800}, {0, 0}, {~u64{0xFFF}, 2 * page_size}};
  for (const auto& [gpa, length] : bad) {
    EXPECT_EQ(t.vm->sev_launch_update_data(GuestPhysical(gpa), length).error().number, EINVAL);
  }
  EXPECT_EQ(t.vm->sev_launch_update_data(GuestPhysical(64 * test_mib), page_size).error().number,
            EFAULT);
  EXPECT_EQ(t.port.psp_calls.size(), calls);
}

TEST(SevLaunch, OtherTypesHaveNoSuchCommands) {
  SnpVm snp;
  EXPECT_EQ(snp.vm->sev_launch_start({1, {}, {}}).error().number, ENOTTY);
  EXPECT_EQ(snp.vm->sev_launch_measure().error().number, ENOTTY);
  SevVm sev(VmType::sev);
  EXPECT_EQ(sev.vm->launch_start({}).error().number, ENOTTY);
}

TEST(SevLaunch, TheEndUndoesEverything) {
  SevVm t(VmType::sev_es);
  const u64 assigned = t.kvm->direct_map().assigned_pages;
  ASSERT_TRUE(t.launch(5));
  t.vcpu = nullptr;
  t.vm.reset();
  const auto order = t.commands();
  ASSERT_GE(order.size(), 2u);
  EXPECT_EQ(order[order.size() - 2], Command::deactivate);
  EXPECT_EQ(order.back(), Command::decommission);
  EXPECT_EQ(t.kvm->direct_map().assigned_pages, assigned);
  EXPECT_TRUE(t.kvm->leaked_pages().empty());
}

TEST(SevLaunch, AFailedCommandGivesPagesBack) {
  SevVm t(VmType::sev_es);
  const u64 assigned = t.kvm->direct_map().assigned_pages;
  t.port.psp_status[Command::launch_update_vmsa] = psp::Status::unsupported;
  EXPECT_FALSE(t.launch(5));
  EXPECT_EQ(t.kvm->direct_map().assigned_pages, assigned);
  SevVm second(VmType::sev);
  second.port.psp_status[Command::activate] = psp::Status::asid_owned;
  const auto refused = second.vm->sev_launch_start({1, {}, {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().firmware, psp::number(psp::Status::asid_owned));
}

TEST(SevGuestExit, TheHypercallOfPageEncryption) {
  SevVm t(VmType::sev);
  ASSERT_TRUE(t.launch(1));
  const KvmExit asked = t.exit([&](svm::Vmcb& vmcb) {
    vmcb.exitcode = number(svm::ExitCode::vmmcall);
    vmcb.rax = 12;
    vmcb.cpl = 0;
    vmcb.nrip = vmcb.rip + 3;
    t.port.registers.gpr[3] = 0x200000;
    t.port.registers.gpr[1] = 4;
    t.port.registers.gpr[2] = 0;
  });
  const auto* call = std::get_if<HypercallExit>(&asked);
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(call->nr, 12u);
  EXPECT_EQ(call->args, (std::array<u64, 3>{0x200000, 4, 0}));
  t.vcpu->complete_hypercall(EINVAL);
  u64 rax = 0;
  t.port.script.push_front([&](svm::Vmcb& vmcb) {
    rax = vmcb.rax;
    vmcb.exitcode = number(svm::ExitCode::intr);
  });
  (void)t.vcpu->run(far_deadline);
  EXPECT_EQ(rax, static_cast<u64>(-EINVAL));
}

TEST(SevGuestExit, PlainVmsHaveNoHypercall) {
  test::FakePort port(64 * test_mib);
  const auto kvm = make_kvm(port);
  const auto vm = std::move(kvm->create_vm({}).value());
  Vcpu* vcpu = vm->create_vcpu(0).value();
  ASSERT_TRUE(vcpu->set_state({}).ok());
  u64 rax = 0;
  port.script.push_back([](svm::Vmcb& vmcb) {
    vmcb.exitcode = number(svm::ExitCode::vmmcall);
    vmcb.rax = 12;
  });
  port.script.push_back([&](svm::Vmcb& vmcb) {
    rax = vmcb.rax;
    vmcb.exitcode = number(svm::ExitCode::shutdown);
  });
  EXPECT_TRUE(std::holds_alternative<ShutdownExit>(vcpu->run(far_deadline)));
  EXPECT_EQ(rax, static_cast<u64>(-1000));
}

TEST(SevGuestExit, StringIoIsAnUndefinedInstruction) {
  SevVm t(VmType::sev);
  ASSERT_TRUE(t.launch(1));
  u64 injected = 0;
  t.port.script.push_back([](svm::Vmcb& vmcb) {
    vmcb.exitcode = number(svm::ExitCode::ioio);
    vmcb.exitinfo1 = svm::ioio::string | u64{0x3F8} << svm::ioio::port_shift | 1 << 4;
  });
  t.port.script.push_back([&](svm::Vmcb& vmcb) {
    injected = vmcb.eventinj;
    vmcb.exitcode = number(svm::ExitCode::shutdown);
  });
  (void)t.vcpu->run(far_deadline);
  EXPECT_EQ(injected & 0xFF, 6u);
}

TEST(SevGuestExit, SevEsSpeaksVersionOne) {
  SevVm t(VmType::sev_es);
  ASSERT_TRUE(t.launch(5));
  u64 answer = 0;
  t.port.script.push_back([](svm::Vmcb& vmcb) {
    vmcb.ghcb = 0x002;  // SEV information request
    vmcb.exitcode = number(svm::ExitCode::vmgexit);
  });
  t.port.script.push_back([&](svm::Vmcb& vmcb) {
    answer = vmcb.ghcb;
    vmcb.exitcode = number(svm::ExitCode::shutdown);
  });
  (void)t.vcpu->run(far_deadline);
  EXPECT_EQ(answer, ghcb::sev_information_response(1, 1, 51));
}

TEST(SevGuestExit, AnSevEsGhcbNeedsNoRegistrationAndHasNoPageStates) {
  SevVm t(VmType::sev_es);
  ASSERT_TRUE(t.launch(5));
  ghcb::Ghcb page = event_page(ghcb::Event::page_state_change);
  page.sw_scratch = ghcb_at.value() + 0x800;
  page.valid_bitmap.set(ghcb::field::sw_scratch);
  ASSERT_TRUE(t.vm->write_shared(ghcb_at, page.raw).ok());
  (void)t.exit([](svm::Vmcb& vmcb) {
    vmcb.ghcb = ghcb_at.value();
    vmcb.exitcode = number(svm::ExitCode::vmgexit);
  });
  ghcb::Ghcb answer{};
  ASSERT_TRUE(t.vm->read_shared(ghcb_at, answer.raw).ok());
  EXPECT_EQ(answer.sw_exitinfo1, 2u);
}

}  // namespace
}  // namespace softsnp::kvm
