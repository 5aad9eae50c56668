// Memory-mapped I/O of a plain guest: instructions under emulation.
#include <gtest/gtest.h>

#include "tests/hypervisor/kvm/plain_vm.hpp"

namespace softsnp::kvm {
namespace {

constexpr u64 if_flag = x86::rflags::if_;

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

// INIT and SIPI by the memory-mapped ICR of an xAPIC.
TEST(PlainVcpu, TheMappedIcrReachesOthers) {
  PlainVm t;
  Vcpu* ap = t.vm->create_vcpu(1).value();
  const auto store = [&](u64 address, u64 value) {
    t.step([&t, address, value](svm::Vmcb& v) {
      t.port.registers.gpr[3] = address;
      v.rax = value;
      v.instruction_byte_count = 2;
      v.instruction_bytes.at[0] = 0x89;  // mov [rbx], eax
      v.instruction_bytes.at[1] = 0x03;
      v.exitcode = number(svm::ExitCode::npf);
      v.exitinfo1 = 6;
      v.exitinfo2 = address;
    });
  };
  store(0xFEE00310, 0x01000000);
  store(0xFEE00300, 0x4500);
  store(0xFEE00300, 0x8500);  // de-assert, as old software sends it
  t.exit_with(svm::ExitCode::shutdown);
  (void)t.run();
  t.exit_with(svm::ExitCode::pause);
  t.exit_with(svm::ExitCode::shutdown);
  (void)t.vm->run(far_deadline);
  EXPECT_EQ(ap->mp_state(), MpState::init_received);
  store(0xFEE00300, 0x4612);
  t.exit_with(svm::ExitCode::shutdown);
  (void)t.run();
  t.exit_with(svm::ExitCode::pause);  // the BSP has still its turn
  bool started = false;
  t.step([&started](svm::Vmcb& v) {
    started = v.cs.base == 0x12000 && v.cs.selector == 0x1200 && v.rip == 0;
    v.exitcode = number(svm::ExitCode::shutdown);
  });
  const VmExit exit = t.vm->run(far_deadline);
  EXPECT_EQ(exit.vcpu, ap);
  EXPECT_TRUE(started);
  EXPECT_EQ(ap->mp_state(), MpState::runnable);
}

}  // namespace
}  // namespace softsnp::kvm
