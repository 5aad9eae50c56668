// The run loop: interrupts, halts, faults and refusals, on both kinds of guest.
#include <gtest/gtest.h>

#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {

constexpr u64 if_flag = x86::rflags::if_;

struct PlainVm {
  PlainVm() : port(64 * test_mib), kvm(make_kvm(port)) {
    vm = std::move(kvm->create_vm({}).value());
    EXPECT_TRUE(vm->set_memory_region(0, GuestPhysical(0), 8 * test_mib).ok());
    vcpu = vm->create_vcpu(0).value();
    vcpu->set_cpuid(kvm->supported_cpuid(VmType::plain));
    svm::Vmsa state{};
    state.cr0 = 0x11;
    state.rflags = 2;
    state.rip = 0x1000;
    state.rsi = 0xABCD;
    state.cs.attributes = 0xC9B;
    state.x87_fcw = 0x37F;
    state.mxcsr = 0x1F80;
    EXPECT_TRUE(vcpu->set_state(state).ok());
  }
  void step(test::FakePort::Step s) { port.script.push_back(std::move(s)); }
  void exit_with(svm::ExitCode code, u64 info1 = 0, u64 info2 = 0) {
    step([=](svm::Vmcb& v) {
      v.exitcode = number(code);
      v.exitinfo1 = info1;
      v.exitinfo2 = info2;
      v.nrip = v.rip + 2;
    });
  }
  // Ends the run and keeps what the guest would have been given.
  void stop() {
    step([this](svm::Vmcb& v) {
      last = v;
      v.exitcode = number(svm::ExitCode::shutdown);
    });
  }
  KvmExit run(u64 deadline = far_deadline) { return vcpu->run(deadline); }

  test::FakePort port;
  std::unique_ptr<Kvm> kvm;
  std::unique_ptr<Vm> vm;
  Vcpu* vcpu = nullptr;
  svm::Vmcb last{};
};

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
  EXPECT_EQ(vm->create_vcpu(1).error().number, EEXIST);
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

TEST(PlainVcpu, MmioReadIntoARegister) {
  PlainVm t;
  t.step([&](svm::Vmcb& v) {
    // mov eax, [rbx]
    t.port.registers.gpr[3] = 0xFEC00010;
    v.instruction_byte_count = 2;
    v.instruction_bytes.at[0] = 0x8B;
    v.instruction_bytes.at[1] = 0x03;
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = 4;
    v.exitinfo2 = 0xFEC00010;
  });
  KvmExit exit = t.run();
  ASSERT_TRUE(std::holds_alternative<MmioExit>(exit));
  EXPECT_FALSE(std::get<MmioExit>(exit).write);
  EXPECT_EQ(std::get<MmioExit>(exit).length, 4);
  t.vcpu->complete_mmio(std::vector<u8>{0x78, 0x56, 0x34, 0x12});
  t.stop();
  t.run();
  EXPECT_EQ(t.last.rax, 0x12345678u);
  EXPECT_EQ(t.last.rip, 0x1002u);
}

TEST(PlainVcpu, MmioReadModifyWrite) {
  PlainVm t;
  // or dword [rbx], 0x10: fetched from guest memory, as without decode assist.
  ASSERT_TRUE(t.vm->write_shared(GuestPhysical(0x1000), std::vector<u8>{0x83, 0x0B, 0x10}).ok());
  t.step([&](svm::Vmcb& v) {
    t.port.registers.gpr[3] = 0xFEB00000;
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = 6;
    v.exitinfo2 = 0xFEB00000;
  });
  t.run();
  t.vcpu->complete_mmio(std::vector<u8>{0x01, 0, 0, 0x80});
  KvmExit exit = t.run();
  ASSERT_TRUE(std::holds_alternative<MmioExit>(exit));
  EXPECT_TRUE(std::get<MmioExit>(exit).write);
  EXPECT_EQ(load_le<u32>(std::get<MmioExit>(exit).data.data()), 0x80000011u);
  t.stop();
  t.run();
  EXPECT_EQ(t.last.rip, 0x1003u);
  EXPECT_NE(t.last.rflags & x86::rflags::sf, 0u);
  EXPECT_EQ(t.last.rflags & x86::rflags::zf, 0u);
}

TEST(PlainVcpu, LapicMmioNeedsNoVmm) {
  PlainVm t;
  t.step([&](svm::Vmcb& v) {
    // mov [rbx], eax: software enable
    t.port.registers.gpr[3] = 0xFEE000F0;
    v.rax = 0x1FF;
    v.instruction_byte_count = 2;
    v.instruction_bytes.at[0] = 0x89;
    v.instruction_bytes.at[1] = 0x03;
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = 6;
    v.exitinfo2 = 0xFEE000F0;
  });
  t.step([&](svm::Vmcb& v) {
    v.rflags |= if_flag;
    v.exitcode = number(svm::ExitCode::intr);
    t.vm->signal_msi(0xFEE00000, 0x8041);  // vector 41h, level
    const u8 level[] = {0x41};
    t.vm->set_ioapic_level_vectors(level);
  });
  t.step([&](svm::Vmcb& v) {
    EXPECT_EQ(v.eventinj, 0x80000041u);
    t.port.registers.gpr[3] = 0xFEE000B0;
    v.instruction_byte_count = 2;
    v.instruction_bytes.at[0] = 0x89;
    v.instruction_bytes.at[1] = 0x03;
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = 6;
    v.exitinfo2 = 0xFEE000B0;
  });
  KvmExit exit = t.run();
  ASSERT_TRUE(std::holds_alternative<IoapicEoiExit>(exit));
  EXPECT_EQ(std::get<IoapicEoiExit>(exit).vector, 0x41);
}

TEST(PlainVcpu, UnknownMmioInstructionIsAnError) {
  PlainVm t;
  t.step([](svm::Vmcb& v) {
    // movaps xmm0, [rbx]
    const u8 bytes[] = {0x0F, 0x28, 0x03};
    std::copy(std::begin(bytes), std::end(bytes), v.instruction_bytes.at);
    v.instruction_byte_count = 3;
    v.exitcode = number(svm::ExitCode::npf);
    v.exitinfo1 = 4;
    v.exitinfo2 = 0xFEC00000;
  });
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(t.run()));
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
  EXPECT_EQ(seen.exits[1].answer2, 1u);
  ASSERT_EQ(seen.faults.size(), 1u);
  EXPECT_EQ(seen.faults[0].resolution, NpfResolution::mapped_2m);
}

}  // namespace
}  // namespace softsnp::kvm
