// The hypervisor on the real machine: a few guest instructions through launch, VMRUN and back.
#include <gtest/gtest.h>

#include "arch/ghcb/msr_protocol.hpp"
#include "tests/hypervisor/kvm/machine_guest.hpp"

namespace softsnp::kvm {
namespace {

// Asks for the SEV information, then ends with the C-bit's position as its reason code.
constexpr u8 snp_code[] = {
    0xB9, 0x30, 0x01, 0x01, 0xC0,  // mov ecx, 0xC0010130
    0xB8, 0x02, 0x00, 0x00, 0x00,  // mov eax, 2
    0x31, 0xD2,                    // xor edx, edx
    0x0F, 0x30,                    // wrmsr
    0xF3, 0x0F, 0x01, 0xD9,        // vmgexit
    0x0F, 0x32,                    // rdmsr
    0xC1, 0xE8, 0x18,              // shr eax, 24
    0xC1, 0xE0, 0x10,              // shl eax, 16
    0x0D, 0x00, 0x11, 0x00, 0x00,  // or eax, 0x1100
    0x31, 0xD2,                    // xor edx, edx
    0x0F, 0x30,                    // wrmsr
    0xF3, 0x0F, 0x01, 0xD9,        // vmgexit
    0xF4,                          // hlt
};

TEST(RealMachine, SnpGuestTalksThroughItsMsr) {
  SnpGuestOnMachine t(snp_code);
  const KvmExit exit = t.vcpu->run(t.vm->now() + 100000);
  ASSERT_TRUE(std::holds_alternative<TerminationExit>(exit)) << exit.index();
  EXPECT_EQ(std::get<TerminationExit>(exit).reason_set, 1u);
  EXPECT_EQ(std::get<TerminationExit>(exit).reason_code, 51u);
}

TEST(RealMachine, SnpGuestThatHaltsForEver) {
  constexpr u8 halt[] = {0xF4};
  SnpGuestOnMachine t(halt);
  EXPECT_TRUE(std::holds_alternative<NoProgressExit>(t.vcpu->run(t.vm->now() + 100000)));
}

TEST(RealMachine, SnpGuestStopsAtTheDeadline) {
  constexpr u8 spin[] = {0xEB, 0xFE};
  SnpGuestOnMachine t(spin);
  const u64 deadline = t.vm->now() + 5000;
  EXPECT_TRUE(std::holds_alternative<InterruptedExit>(t.vcpu->run(deadline)));
  EXPECT_GE(t.vm->now(), deadline);
  EXPECT_LE(t.vm->now(), deadline + 100);
}

// A VM that is gone leaves the machine able to run the next one.
TEST(RealMachine, VmsComeAndGo) {
  machine::Machine machine(small_machine());
  auto kvm = make_kvm(machine.port());
  for (int round = 0; round < 3; ++round) {
    VmConfig vm_config;
    vm_config.type = VmType::snp;
    auto vm = std::move(kvm->create_vm(vm_config).value());
    ASSERT_TRUE(vm->set_memory_region(0, GuestPhysical(0), 40 * mib).ok());
    ASSERT_TRUE(vm->set_private(GuestPhysical(0), 40 * mib, true).ok());
    ASSERT_TRUE(vm->create_vcpu(0).value()->set_state(long_mode()).ok());
    const auto started = vm->launch_start({});
    ASSERT_TRUE(started.ok()) << started.error().what;
    LaunchUpdate all;
    all.length = 40 * mib;
    all.type = LaunchPageType::zero;
    const auto updated = vm->launch_update(all);
    ASSERT_TRUE(updated.ok()) << updated.error().what;
    const auto finished = vm->launch_finish({});
    ASSERT_TRUE(finished.ok()) << finished.error().what;
  }
}

TEST(RealMachine, PlainGuestWritesAPortAndHalts) {
  machine::Machine machine(small_machine());
  auto kvm = make_kvm(machine.port());
  auto vm = std::move(kvm->create_vm({}).value());
  ASSERT_TRUE(vm->set_memory_region(0, GuestPhysical(0), ram).ok());
  Vcpu* vcpu = vm->create_vcpu(0).value();
  vcpu->set_cpuid(kvm->supported_cpuid(VmType::plain));
  constexpr u8 code[] = {
      0xB8, 0x00, 0x00, 0x00, 0x40,              // mov eax, 0x40000000
      0x0F, 0xA2,                                // cpuid
      0x88, 0xD8,                                // mov al, bl
      0xE6, 0xF4,                                // out 0xF4, al
      0xE4, 0x61,                                // in al, 0x61
      0x89, 0x04, 0x25, 0x00, 0x50, 0x00, 0x00,  // mov [0x5000], eax
      0xF4,                                      // hlt
  };
  ASSERT_TRUE(vm->write_shared(GuestPhysical(code_at), image(code, 0)).ok());
  ASSERT_TRUE(vcpu->set_state(long_mode()).ok());
  KvmExit exit = vcpu->run(vm->now() + 100000);
  ASSERT_TRUE(std::holds_alternative<IoExit>(exit)) << exit.index();
  EXPECT_EQ(std::get<IoExit>(exit).data, (std::vector<u8>{'K'}));
  EXPECT_EQ(std::get<IoExit>(exit).port, 0xF4);
  exit = vcpu->run(vm->now() + 100000);
  ASSERT_TRUE(std::holds_alternative<IoExit>(exit)) << exit.index();
  vcpu->complete_io(std::vector<u8>{0x5A});
  EXPECT_TRUE(std::holds_alternative<NoProgressExit>(vcpu->run(vm->now() + 100000)));
  std::vector<u8> byte(1);
  ASSERT_TRUE(vm->read_shared(GuestPhysical(0x5000), byte).ok());
  EXPECT_EQ(byte[0], 0x5A);
  EXPECT_EQ(vcpu->state().rip, code_at + sizeof code);
}

}  // namespace
}  // namespace softsnp::kvm
