// The run loop: interrupts, halts, faults and refusals, on a plain guest.
#include <gtest/gtest.h>

#include "tests/hypervisor/kvm/plain_vm.hpp"

namespace softsnp::kvm {
namespace {

constexpr u64 if_flag = x86::rflags::if_;

TEST(PlainVcpu, StateRoundTrip) {
  PlainVm t;
  t.stop();
  EXPECT_TRUE(std::holds_alternative<ShutdownExit>(t.run()));
  EXPECT_EQ(t.last.rip, 0x1000u);
  EXPECT_NE(t.last.efer & x86::efer::svme, 0u);
  EXPECT_EQ(t.port.registers.gpr[6], 0xABCDu);
  const svm::Vmsa state = t.vcpu->state();
  EXPECT_EQ(state.rsi, 0xABCDu);
  EXPECT_EQ(state.x87_fcw, 0x37F);
  EXPECT_EQ(state.efer & x86::efer::svme, 0u);
}

TEST(PlainVcpu, AVcpuWithoutStateDoesNotRun) {
  test::FakePort port(64 * test_mib);
  auto kvm = make_kvm(port);
  auto vm = std::move(kvm->create_vm({}).value());
  Vcpu* vcpu = vm->create_vcpu(0).value();
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(vcpu->run(far_deadline)));
  EXPECT_EQ(vm->create_vcpu(0).error().number, EEXIST);
}

TEST(PlainVcpu, PortIo) {
  PlainVm t;
  t.step([](svm::Vmcb& v) {
    v.rax = 0x1234;
    v.exitcode = number(svm::ExitCode::ioio);
    v.exitinfo1 = 0xF4u << 16 | 1 << 5;
    v.exitinfo2 = 0x1002;
  });
  KvmExit exit = t.run();
  EXPECT_EQ(std::get<IoExit>(exit).data, (std::vector<u8>{0x34, 0x12}));
  t.step([](svm::Vmcb& v) {
    EXPECT_EQ(v.rip, 0x1002u);
    v.exitcode = number(svm::ExitCode::ioio);
    v.exitinfo1 = 0x61u << 16 | 1 << 4 | 1;
    v.exitinfo2 = 0x1004;
  });
  EXPECT_TRUE(std::get<IoExit>(t.run()).in);
  t.vcpu->complete_io(std::vector<u8>{0x99});
  t.stop();
  t.run();
  EXPECT_EQ(t.last.rax, 0x1299u);
  EXPECT_EQ(t.last.rip, 0x1004u);
}

TEST(PlainVcpu, RepeatedStringOutput) {
  PlainVm t;
  ASSERT_TRUE(t.vm->write_shared(GuestPhysical(0x5000), std::vector<u8>{'a', 'b', 'c'}).ok());
  t.step([&](svm::Vmcb& v) {
    t.port.registers.gpr[1] = 3;
    t.port.registers.gpr[6] = 0x5000;
    v.exitcode = number(svm::ExitCode::ioio);
    v.exitinfo1 = 0x3F8u << 16 | 1 << 4 | 1 << 2 | 1 << 3 | 1 << 8 | 3 << 10;
    v.exitinfo2 = 0x1002;
  });
  KvmExit exit = t.run();
  EXPECT_EQ(std::get<IoExit>(exit).count, 3u);
  EXPECT_EQ(std::get<IoExit>(exit).data, (std::vector<u8>{'a', 'b', 'c'}));
  t.stop();
  t.run();
  EXPECT_EQ(t.port.registers.gpr[1], 0u);
  EXPECT_EQ(t.port.registers.gpr[6], 0x5003u);
  EXPECT_EQ(t.last.rip, 0x1002u);
}

TEST(PlainVcpu, RepeatedStringInput) {
  PlainVm t;
  t.step([&](svm::Vmcb& v) {
    t.port.registers.gpr[1] = 2;
    t.port.registers.gpr[7] = 0x5000;
    v.exitcode = number(svm::ExitCode::ioio);
    v.exitinfo1 = 0x1F0u << 16 | 1 << 5 | 1 << 2 | 1 << 3 | 1 << 8 | 1;
    v.exitinfo2 = 0x1002;
  });
  EXPECT_EQ(std::get<IoExit>(t.run()).count, 2u);
  t.vcpu->complete_io(std::vector<u8>{1, 2, 3, 4});
  t.stop();
  t.run();
  std::vector<u8> bytes(4);
  ASSERT_TRUE(t.vm->read_shared(GuestPhysical(0x5000), bytes).ok());
  EXPECT_EQ(bytes, (std::vector<u8>{1, 2, 3, 4}));
  EXPECT_EQ(t.port.registers.gpr[7], 0x5004u);
}

TEST(PlainVcpu, CpuidMsrAndHypercall) {
  PlainVm t;
  t.step([&](svm::Vmcb& v) {
    v.rax = 0x40000000;
    v.exitcode = number(svm::ExitCode::cpuid);
    v.nrip = 0x1002;
  });
  t.step([&](svm::Vmcb& v) {
    EXPECT_EQ(v.rax, 0x40000001u);
    EXPECT_EQ(v.rip, 0x1002u);
    EXPECT_EQ(t.port.registers.gpr[3], 0x4B4D564Bu);
    t.port.registers.gpr[1] = 0x2FF;
    v.exitcode = number(svm::ExitCode::msr);
    v.exitinfo1 = 0;
    v.nrip = 0x1004;
  });
  t.step([&](svm::Vmcb& v) {
    EXPECT_EQ(v.rax, 0xC06u);
    t.port.registers.gpr[1] = 0x12345678;
    v.exitcode = number(svm::ExitCode::msr);
    v.exitinfo1 = 1;
  });
  t.stop();
  t.run();
  EXPECT_EQ(t.last.eventinj, 0x80000B0Du) << "an unknown MSR is #GP(0)";
  EXPECT_EQ(t.last.rip, 0x1004u);
}

TEST(PlainVcpu, HaltWithInterruptsOffIsNamed) {
  PlainVm t;
  t.exit_with(svm::ExitCode::hlt);
  const KvmExit exit = t.run();
  ASSERT_TRUE(std::holds_alternative<NoProgressExit>(exit));
  EXPECT_TRUE(t.vcpu->halted());
}

TEST(PlainVcpu, HaltIdlesUntilTheDeadline) {
  PlainVm t;
  t.step([](svm::Vmcb& v) {
    v.rflags = if_flag | 2;
    v.exitcode = number(svm::ExitCode::hlt);
    v.nrip = 0x1001;
  });
  EXPECT_TRUE(std::holds_alternative<InterruptedExit>(t.run(5000)));
  EXPECT_EQ(t.port.tsc(), 5000u);
  EXPECT_TRUE(t.vcpu->halted());
  t.vm->set_next_device_event(7000);
  EXPECT_TRUE(std::holds_alternative<InterruptedExit>(t.run(9000)));
  EXPECT_EQ(t.port.tsc(), 7000u);
  // An interrupt through the PIC wakes it.
  EXPECT_TRUE(t.vcpu->ready_for_extint());
  t.vm->set_next_device_event(0);
  t.vcpu->queue_extint(0x30);
  t.stop();
  t.run();
  EXPECT_EQ(t.last.eventinj, 0x80000030u);
}

TEST(PlainVcpu, InterruptsWaitForTheirWindow) {
  PlainVm t;
  t.vcpu->queue_extint(0x21);
  t.step([](svm::Vmcb& v) {
    EXPECT_EQ(v.eventinj, 0u);
    EXPECT_NE(v.vintr & svm::vintr::v_irq, 0u);
    EXPECT_NE(v.intercept_misc1 & svm::misc1::vintr, 0u);
    v.rflags |= if_flag;
    v.exitcode = number(svm::ExitCode::vintr);
  });
  t.step([](svm::Vmcb& v) {
    EXPECT_EQ(v.eventinj, 0x80000021u);
    EXPECT_EQ(v.vintr & svm::vintr::v_irq, 0u);
    // Its delivery faults: it must come again.
    v.exitintinfo = v.eventinj;
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = 6;
    v.exitinfo2 = 0x2000;
  });
  t.stop();
  t.run();
  EXPECT_EQ(t.last.eventinj, 0x80000021u);
}

TEST(PlainVcpu, ExtintWindowRequest) {
  PlainVm t;
  t.vcpu->request_extint_window(true);
  t.step([](svm::Vmcb& v) {
    v.rflags |= if_flag;
    v.exitcode = number(svm::ExitCode::vintr);
  });
  EXPECT_TRUE(std::holds_alternative<InterruptedExit>(t.run()));
  EXPECT_TRUE(t.vcpu->ready_for_extint());
}

TEST(PlainVcpu, NmiIsMaskedUntilIret) {
  PlainVm t;
  t.vcpu->inject_nmi();
  t.step([&](svm::Vmcb& v) {
    EXPECT_EQ(v.eventinj, 0x80000202u);
    EXPECT_NE(v.intercept_misc1 & svm::misc1::iret, 0u);
    t.vcpu->inject_nmi();
    v.exitcode = number(svm::ExitCode::intr);
  });
  t.step([](svm::Vmcb& v) {
    EXPECT_EQ(v.eventinj, 0u);
    v.exitcode = number(svm::ExitCode::iret);
  });
  t.step([&](svm::Vmcb& v) {
    EXPECT_EQ(v.eventinj, 0u) << "IRET has not run yet";
    EXPECT_EQ(t.port.last_quantum, 1u);
    v.rip = 0x2000;
    v.exitcode = number(svm::ExitCode::intr);
  });
  t.stop();
  t.run();
  EXPECT_EQ(t.last.eventinj, 0x80000202u);
}

TEST(PlainVcpu, QuantumEndsAtTheNextEvent) {
  PlainVm t;
  t.stop();
  t.run(t.port.tsc() + 12345);
  EXPECT_EQ(t.port.last_quantum, 12345u);
  t.vm->set_next_device_event(t.port.tsc() + 77);
  t.stop();
  t.run();
  EXPECT_EQ(t.port.last_quantum, 77u);
  EXPECT_TRUE(std::holds_alternative<InterruptedExit>(t.run(0)));
}

TEST(PlainVcpu, RefusedEntryAndUnknownExit) {
  PlainVm t;
  t.exit_with(svm::ExitCode::invalid);
  const KvmExit refused = t.run();
  ASSERT_TRUE(std::holds_alternative<FailEntryExit>(refused));
  EXPECT_EQ(std::get<FailEntryExit>(refused).exit_code, ~u64{0});
  t.exit_with(static_cast<svm::ExitCode>(0x7D));
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(t.run()));
}

}  // namespace
}  // namespace softsnp::kvm
