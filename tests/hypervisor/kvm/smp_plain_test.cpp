// Several vCPUs of a plain VM on the real machine: INIT and SIPI, interrupts between them, turns.
#include <gtest/gtest.h>

#include "tests/hypervisor/kvm/guest_code.hpp"
#include "tests/hypervisor/kvm/machine_guest.hpp"

namespace softsnp::kvm {
namespace {

constexpr u32 apic_base = 0x1B, x2apic_icr = 0x830, x2apic_svr = 0x80F;
constexpr u64 enable_x2apic = 0xFEE00D00;
constexpr u64 init_others = 0xC4500, startup_others = 0xC4608;  // SIPI: 8000h
constexpr u32 started = 0x5000, interrupted = 0x5001, by_id = 0x5010;
constexpr u64 ap_code_at = 0x8000, handler_at = 0x8100;
constexpr u8 port = 0xF4;

// Real mode: into x2APIC mode, interrupts on, "started", then waits for interrupts.
constexpr u8 ap_code[] = {
    0x66, 0xB9, 0x1B, 0x00, 0x00, 0x00,  // mov ecx, 0x1B
    0x0F, 0x32,                          // rdmsr
    0x66, 0x0D, 0x00, 0x04, 0x00, 0x00,  // or eax, 0x400
    0x0F, 0x30,                          // wrmsr
    0x66, 0xB9, 0x0F, 0x08, 0x00, 0x00,  // mov ecx, 0x80F
    0x66, 0xB8, 0xFF, 0x01, 0x00, 0x00,  // mov eax, 0x1FF
    0x66, 0x31, 0xD2,                    // xor edx, edx
    0x0F, 0x30,                          // wrmsr
    0xBC, 0x00, 0x70,                    // mov sp, 0x7000
    0xF0, 0xFE, 0x06, 0x00, 0x50,        // lock inc byte [0x5000]
    0xFB,                                // sti
    0xF4,                                // hlt
    0xEB, 0xFD,                          // jmp back to it
};
// Counts, also by APIC id, and ends the interrupt.
constexpr u8 handler[] = {
    0xF0, 0xFE, 0x06, 0x01, 0x50,        // lock inc byte [0x5001]
    0x66, 0xB9, 0x02, 0x08, 0x00, 0x00,  // mov ecx, 0x802
    0x0F, 0x32,                          // rdmsr
    0x89, 0xC3,                          // mov bx, ax
    0xFE, 0x87, 0x10, 0x50,              // inc byte [bx + 0x5010]
    0x66, 0xB9, 0x0B, 0x08, 0x00, 0x00,  // mov ecx, 0x80B
    0x66, 0x31, 0xC0,                    // xor eax, eax
    0x66, 0x31, 0xD2,                    // xor edx, edx
    0x0F, 0x30,                          // wrmsr
    0xCF,                                // iret
};

class Smp {
 public:
  Smp(u32 vcpus, const GuestCode& code, unsigned cores = 1)
      : machine_(small_machine(cores)), kvm_(make_kvm(machine_.port())) {
    vm = std::move(kvm_->create_vm({}).value());
    EXPECT_TRUE(vm->set_memory_region(0, GuestPhysical(0), ram).ok());
    for (u32 i = 0; i < vcpus; ++i) {
      Vcpu* vcpu = vm->create_vcpu(i).value();
      vcpu->set_cpuid(kvm_->supported_cpuid(VmType::plain));
      vcpus_.push_back(vcpu);
    }
    EXPECT_TRUE(vcpus_[0]->set_state(long_mode()).ok());
    write(code_at, image(code.bytes, 0));
    write(ap_code_at, ap_code);
    write(handler_at, handler);
    for (const u64 vector : {0x02, 0x40, 0x41}) {
      write(vector * 4, std::vector<u8>{0x00, 0x81, 0x00, 0x00});
    }
  }
  void write(u64 at, std::span<const u8> bytes) {
    EXPECT_TRUE(vm->write_shared(GuestPhysical(at), bytes).ok());
  }
  u8 byte(u64 at) {
    std::vector<u8> one(1);
    EXPECT_TRUE(vm->read_shared(GuestPhysical(at), one).ok());
    return one[0];
  }
  VmExit run(u64 instructions = 10'000'000) { return vm->run(vm->now() + instructions); }
  Vcpu& operator[](usize i) { return *vcpus_[i]; }

 private:
  machine::Machine machine_;
  std::unique_ptr<Kvm> kvm_;
  std::vector<Vcpu*> vcpus_;

 public:
  std::unique_ptr<Vm> vm;
};

GuestCode bring_up(u8 aps) {
  GuestCode code;
  code.wrmsr(apic_base, enable_x2apic).wrmsr(x2apic_svr, 0x1FF);
  code.wrmsr(x2apic_icr, init_others).wrmsr(x2apic_icr, startup_others);
  return code.wrmsr(x2apic_icr, startup_others).wait_byte(started, aps);
}

bool is_port_exit(const VmExit& exit, const Vcpu& of) {
  const auto* io = std::get_if<IoExit>(&exit.exit);
  return exit.vcpu == &of && io != nullptr && io->port == port;
}

TEST(SmpPlain, InitAndSipiStartEveryAp) {
  GuestCode code = bring_up(5);
  code.out_al(port).halt();
  Smp t(6, code);
  EXPECT_EQ(t[0].mp_state(), MpState::runnable);
  EXPECT_EQ(t[3].mp_state(), MpState::uninitialized);
  ASSERT_TRUE(is_port_exit(t.run(), t[0]));
  EXPECT_EQ(t.byte(started), 5);
  for (u32 i = 1; i < 6; ++i) {
    EXPECT_EQ(t[i].state().cs.base, ap_code_at);
    EXPECT_EQ(t[i].state().cs.selector, 0x800);
  }
}

TEST(SmpPlain, ApsStartInTheStateThatInitLeaves) {
  GuestCode code;
  code.wrmsr(apic_base, enable_x2apic).wrmsr(x2apic_icr, init_others).wrmsr(x2apic_icr, 0xC4609);
  code.wait_byte(started, 1).out_al(port).halt();
  Smp t(2, code);
  // At 9000h: mov [0x5020], edx; inc byte [0x5000]; hlt
  t.write(0x9000, std::vector<u8>{0x66, 0x89, 0x16, 0x20, 0x50, 0xFE, 0x06, 0x00, 0x50, 0xF4});
  ASSERT_TRUE(is_port_exit(t.run(), t[0]));
  std::vector<u8> signature(4);
  ASSERT_TRUE(t.vm->read_shared(GuestPhysical(0x5020), signature).ok());
  EXPECT_EQ(load_le<u32>(signature.data()), 0x00A10F11u) << "EDX has family, model and stepping";
  const svm::Vmsa state = t[1].state();
  EXPECT_EQ(state.cr0, x86::cr0::et | x86::cr0::cd | x86::cr0::nw);
  EXPECT_EQ(state.efer, 0u);
  EXPECT_EQ(state.cs.base, 0x9000u);
  EXPECT_EQ(state.idtr.limit, 0xFFFFu);
  EXPECT_EQ(state.tr.attributes, 0x83);
  EXPECT_EQ(state.dr6, 0xFFFF0FF0u);
}

TEST(SmpPlain, ASipiWithoutInitIsLost) {
  GuestCode code;
  code.wrmsr(apic_base, enable_x2apic).wrmsr(x2apic_icr, startup_others).out_al(port).halt();
  Smp t(2, code);
  ASSERT_TRUE(is_port_exit(t.run(), t[0]));
  const VmExit end = t.run();
  ASSERT_TRUE(std::holds_alternative<NoProgressExit>(end.exit));
  EXPECT_EQ(t[1].mp_state(), MpState::uninitialized);
}

struct Delivery {
  const char* what;
  u64 icr;
  std::vector<u32> expected;  // APIC ids
};

TEST(SmpPlain, IpisFindTheirDestinations) {
  const Delivery rows[] = {
      {"physical", u64{2} << 32 | 0x4040, {2}},
      {"all but self", 0xC4040, {1, 2, 3}},
      {"broadcast address", u64{0xFFFFFFFF} << 32 | 0x4040, {1, 2, 3}},
      {"logical", u64{0xA} << 32 | 0x4840, {1, 3}},
      {"another cluster", u64{0x1000E} << 32 | 0x4840, {}},
      {"lowest priority, 40h mod 3", u64{0xE} << 32 | 0x4940, {2}},
      {"lowest priority, 41h mod 3", u64{0xE} << 32 | 0x4941, {3}},
      {"NMI", u64{3} << 32 | 0x4400, {3}},
      {"FFh is no broadcast of an x2APIC's IPI", u64{0xFF} << 32 | 0x4040, {}},
      {"a de-asserted level", u64{1} << 32 | 0x8040, {}},
  };
  for (const Delivery& row : rows) {
    SCOPED_TRACE(row.what);
    GuestCode code = bring_up(3);
    code.wrmsr(x2apic_icr, row.icr);
    code.wait_byte(interrupted, static_cast<u8>(row.expected.size())).out_al(port).halt();
    Smp t(4, code);
    ASSERT_TRUE(is_port_exit(t.run(), t[0]));
    // What went astray would come now.
    EXPECT_TRUE(std::holds_alternative<InterruptedExit>(t.run(1'000'000).exit));
    for (u32 id = 1; id < 4; ++id) {
      const bool expected =
          std::find(row.expected.begin(), row.expected.end(), id) != row.expected.end();
      EXPECT_EQ(t.byte(by_id + id), expected ? 1 : 0) << id;
    }
  }
}

TEST(SmpPlain, DevicesReachAnyVcpu) {
  GuestCode code = bring_up(3);
  code.out_al(port).halt();
  Smp t(4, code);
  ASSERT_TRUE(is_port_exit(t.run(), t[0]));
  (void)t.run(100'000);
  const auto deliver = [&](u64 address, u32 data) {
    t.vm->signal_msi(address, data);
    (void)t.run(100'000);
  };
  deliver(0xFEE00000 | 2 << 12, 0x40);
  EXPECT_EQ(t.byte(by_id + 2), 1);
  deliver(0xFEE00004 | 0x8 << 12, 0x40);  // logical
  EXPECT_EQ(t.byte(by_id + 3), 1);
  deliver(0xFEE0000C | 0xE << 12, 0x41);  // logical, redirection hint
  EXPECT_EQ(t.byte(by_id + 3), 2);
  deliver(0xFEE00000 | 0xFF << 12, 0x40);
  EXPECT_EQ(t.byte(by_id + 1), 1);
  EXPECT_EQ(t.byte(by_id + 2), 2);
  EXPECT_EQ(t.byte(by_id + 3), 3);
  deliver(0xFEE00000 | 0xFF << 12, 0x140);  // lowest priority to everybody: fixed
  EXPECT_EQ(t.byte(by_id + 1), 2);
  EXPECT_EQ(t.byte(by_id + 2), 3);
  EXPECT_EQ(t.byte(by_id + 3), 4);
}

TEST(SmpPlain, ReservedIcrBitsFault) {
  GuestCode code;
  code.wrmsr(apic_base, enable_x2apic).wrmsr(x2apic_icr, 0x100040).out_al(port);
  Smp t(1, code);
  EXPECT_TRUE(std::holds_alternative<ShutdownExit>(t.run().exit)) << "#GP without an IDT";
}

TEST(SmpPlain, NothingCanWakeNamesEveryVcpu) {
  GuestCode code = bring_up(1);
  code.halt();
  Smp t(3, code);
  // The first AP halts with interrupts off, the second has never been started.
  t.write(ap_code_at, std::vector<u8>{0xF0, 0xFE, 0x06, 0x00, 0x50, 0xF4});
  GuestCode one_ap;
  one_ap.wrmsr(apic_base, enable_x2apic).wrmsr(x2apic_icr, u64{1} << 32 | 0x4500);
  one_ap.wrmsr(x2apic_icr, u64{1} << 32 | 0x4608).wait_byte(started, 1).halt();
  t.write(code_at, image(one_ap.bytes, 0));
  const VmExit exit = t.run();
  ASSERT_TRUE(std::holds_alternative<NoProgressExit>(exit.exit));
  const std::string& why = std::get<NoProgressExit>(exit.exit).why;
  EXPECT_NE(why.find("vCPU 0 (APIC id 0): HLT with interrupts disabled"), std::string::npos) << why;
  EXPECT_NE(why.find("vCPU 1 (APIC id 1): HLT with interrupts disabled"), std::string::npos) << why;
  EXPECT_NE(why.find("vCPU 2 (APIC id 2): waits for INIT and SIPI"), std::string::npos) << why;
}

TEST(SmpPlain, TheClockJumpsOnlyWhenAllWait) {
  GuestCode code = bring_up(2);
  code.out_al(port).put({0xFB}).halt().forever();
  Smp t(3, code);
  ASSERT_TRUE(is_port_exit(t.run(), t[0]));
  const u64 executed = t.vm->now();
  const u64 deadline = executed + 5'000'000'000;
  EXPECT_TRUE(std::holds_alternative<InterruptedExit>(t.vm->run(deadline).exit));
  EXPECT_EQ(t.vm->now(), deadline);
  EXPECT_LT(t.vm->counters().vmruns, 2000u) << "nobody ran meanwhile";
}

// A vCPU that spins on PAUSE gives its turn to those that have something to do.
TEST(SmpPlain, SpinningVcpusYield) {
  GuestCode code = bring_up(1);
  code.wait_byte(0x5030, 1).out_al(port).halt();
  Smp t(2, code);
  // The AP works for a while before it sets the byte: mov ecx, 200000; loop; inc byte [0x5030].
  t.write(ap_code_at, std::vector<u8>{0xFE, 0x06, 0x00, 0x50, 0x66, 0xB9, 0x40, 0x0D, 0x03, 0x00,
                                      0x66, 0x49, 0x75, 0xFC, 0xFE, 0x06, 0x30, 0x50, 0xF4});
  ASSERT_TRUE(is_port_exit(t.run(), t[0]));
  const u64 pauses = t.vm->counters().exits[0x77];
  EXPECT_GT(pauses, 2u);
  EXPECT_LT(pauses, 40u);
  // 400000 instructions of work in turns of 50000, and at most 3000 times 4 of waiting in between.
  EXPECT_LT(t.vm->now(), 560'000u);
}

TEST(SmpPlain, TheSameRunIsTheSameAgain) {
  const auto trace = [](unsigned cores) {
    GuestCode code = bring_up(5);
    for (int i = 0; i < 3; ++i) {
      code.wrmsr(x2apic_icr, 0xC4040).wait_byte(interrupted, static_cast<u8>(5 * (i + 1)));
    }
    code.out_al(port).halt();
    Smp t(6, code, cores);
    EXPECT_TRUE(is_port_exit(t.run(), t[0]));
    return std::pair(t.vm->now(), t.vm->counters().vmruns);
  };
  EXPECT_EQ(trace(1), trace(1));
  EXPECT_EQ(trace(4), trace(4));
  EXPECT_EQ(trace(1), trace(4)) << "cores make no difference to a guest";
}

TEST(SmpPlain, EveryApicIdIsTakenOnce) {
  Smp t(2, GuestCode());
  EXPECT_EQ(t.vm->create_vcpu(1).error().number, EEXIST);
  EXPECT_TRUE(t.vm->create_vcpu(2).ok());
  EXPECT_EQ(t[1].index(), 1u);
  EXPECT_EQ(t[1].apic_id(), 1u);
}

}  // namespace
}  // namespace softsnp::kvm
