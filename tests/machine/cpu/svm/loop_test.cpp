// Small programs through the whole core: windows, traps and faults meet the executor.
#include "machine/cpu/processor.hpp"
#include "tests/machine/cpu/svm/guest_bench.hpp"

namespace softsnp::cpu::test {
namespace {

using svm::ExitCode;

struct Program {
  Program(std::initializer_list<u8> code) {
    auto& v = bench.vmcb;
    v.cr0 = x86::cr0::pg | x86::cr0::pe | x86::cr0::et;
    v.cr4 = x86::cr4::pae;
    v.cr3 = pml4_at;
    v.efer = x86::efer::svme | x86::efer::lme | x86::efer::lma;
    v.cs = {code64_sel, 0xA9B, 0xFFFFFFFF, 0};
    v.ss = {data_sel, 0xC93, 0xFFFFFFFF, 0};
    v.idtr = {0, 0, 0xFFF, idt_at};
    v.gdtr = {0, 0, 0x67, gdt_at};
    v.rip = rip_at;
    v.rsp = stack_at;
    put(rip_at, code);
  }
  void put(u64 at, std::initializer_list<u8> code) {
    for (u8 byte : code) {
      bench.poke<u8>(at++, byte);
    }
  }
  void handler(u8 vector, std::initializer_list<u8> code) { put(handler_at + vector * 16u, code); }
  ExitCode run(u64 limit = 1000) {
    bench.write();
    System& system = processor.system();
    EXPECT_TRUE(system.write_msr(x86::msr::efer, system.state().efer | x86::efer::svme));
    EXPECT_TRUE(system.write_msr(x86::msr::vm_hsave_pa, hsave_at));
    EXPECT_TRUE(processor.vmrun(SystemPhysical(vmcb_at), limit).ok());
    bench.reload();
    return bench.exitcode();
  }
  const std::vector<Delivery>& deliveries() const { return bench.recorder.deliveries; }

  GuestBench bench{GuestBench::Kind::plain};
  Clock clock;
  Processor processor{bench.dram, bench.rmp, bench.code, bench.platform, clock, &bench.recorder};
};

constexpr std::initializer_list<u8> iretq = {0x48, 0xCF};

// add [rsp], eax; push rax; lea; nop [rax]; dec ecx; jnz back; hlt: two operands a round.
TEST(Loop, MemoryOperandsAreCountedWhereAskedFor) {
  const std::initializer_list<u8> code = {0xB9, 5,    0,    0,    0,    0x01, 0x04,
                                          0x24, 0x50, 0x48, 0x8D, 0x04, 0x24, 0x0F,
                                          0x1F, 0x00, 0xFF, 0xC9, 0x75, 0xF1, 0xF4};
  Program counted(code);
  counted.processor.count_memory_operands();
  EXPECT_EQ(counted.run(), ExitCode::hlt);
  EXPECT_EQ(counted.processor.core().counters.memory_operands, 10u);
  Program plain(code);
  EXPECT_EQ(plain.run(), ExitCode::hlt);
  EXPECT_EQ(plain.processor.core().counters.memory_operands, 0u);
  EXPECT_EQ(plain.bench.vmcb.rip, counted.bench.vmcb.rip);
  EXPECT_EQ(plain.processor.retired(), counted.processor.retired());
}

TEST(Loop, StiHoldsInterruptsForOneInstruction) {
  Program p({0xFB, 0xFF, 0xC3, 0xFF, 0xC1, 0xF4});  // sti; inc ebx; inc ecx; hlt
  p.handler(0x30, iretq);
  p.bench.vmcb.vintr =
      svm::vintr::v_intr_masking | svm::vintr::v_irq | (3u << 16) | (u64{0x30} << 32);
  EXPECT_EQ(p.run(), ExitCode::hlt);
  ASSERT_EQ(p.deliveries().size(), 1u);
  EXPECT_EQ(p.deliveries()[0].rip, rip_at + 3);
  EXPECT_TRUE(p.deliveries()[0].external);
  EXPECT_EQ(p.bench.vmcb.rip, rip_at + 5);
  EXPECT_EQ(p.processor.core().state.gpr[3], 1u);
}

TEST(Loop, StiHltIsOneUnit) {
  Program p({0xFB, 0xF4, 0x90});
  p.bench.vmcb.vintr =
      svm::vintr::v_intr_masking | svm::vintr::v_irq | (3u << 16) | (u64{0x30} << 32);
  EXPECT_EQ(p.run(), ExitCode::hlt);
  EXPECT_TRUE(p.deliveries().empty());
  EXPECT_NE(p.bench.vmcb.interrupt_state & svm::interrupt_state::shadow, 0u);
}

TEST(Loop, TrapFlagStepsThroughBlocks) {
  // pushfq; or dword [rsp], 100h; popfq; nop; nop; hlt
  Program p({0x9C, 0x81, 0x0C, 0x24, 0, 1, 0, 0, 0x9D, 0x90, 0x90, 0xF4});
  p.handler(1, iretq);
  EXPECT_EQ(p.run(), ExitCode::hlt);
  ASSERT_EQ(p.deliveries().size(), 2u);
  EXPECT_EQ(p.deliveries()[0].rip, rip_at + 10);
  EXPECT_EQ(p.deliveries()[1].rip, rip_at + 11);
}

TEST(Loop, BreakpointFiresOnceWhenTheHandlerSetsRf) {
  Program p({0x90, 0x90, 0x90, 0xF4});
  p.handler(1, {0x81, 0x4C, 0x24, 0x10, 0, 0, 1, 0, 0x48, 0xCF});  // or dword [rsp+16], RF; iretq
  p.bench.vmcb.dr7 = 0x401;
  p.processor.core().state.dr[0] = rip_at + 1;
  EXPECT_EQ(p.run(), ExitCode::hlt);
  ASSERT_EQ(p.deliveries().size(), 1u);
  EXPECT_EQ(p.deliveries()[0].rip, rip_at + 1);
  EXPECT_EQ(p.bench.vmcb.rip, rip_at + 3);
}

TEST(Loop, FaultIsRepairedAndResumed) {
  Program p({0x0F, 0x0B, 0xFF, 0xC3, 0xF4});              // ud2; inc ebx; hlt
  p.handler(6, {0x48, 0x83, 0x04, 0x24, 2, 0x48, 0xCF});  // add qword [rsp], 2; iretq
  EXPECT_EQ(p.run(), ExitCode::hlt);
  EXPECT_EQ(p.processor.core().state.gpr[3], 1u);
  EXPECT_EQ(p.deliveries().size(), 1u);
}

TEST(Loop, EndlessFaultsUseUpTheBudget) {
  Program p({0x0F, 0x0B});
  p.handler(6, {0x0F, 0x0B});
  p.bench.gate(6, code64_sel, handler_at + 6 * 16, 0x8E, 1);  // IST: the stack never runs out
  p.bench.vmcb.tr = {tss_sel, 0x8B, 0x67, tss_at};
  p.processor.core().state.tr = p.bench.vmcb.tr;
  EXPECT_EQ(p.run(500), ExitCode::intr);
}

TEST(Loop, TripleFaultShutsDown) {
  Program p({0x0F, 0x0B});
  p.bench.vmcb.idtr.limit = 0;
  EXPECT_EQ(p.run(), ExitCode::shutdown);
}

TEST(Loop, CpuidExitHasNrip) {
  Program p({0x90, 0x0F, 0xA2, 0xF4});
  p.bench.vmcb.intercept_misc1 |= svm::misc1::cpuid;
  EXPECT_EQ(p.run(), ExitCode::cpuid);
  EXPECT_EQ(p.bench.vmcb.rip, rip_at + 1);
  EXPECT_EQ(p.bench.vmcb.nrip, rip_at + 3);
}

TEST(Loop, NestedFaultCarriesInstructionBytes) {
  // mov eax, [4000000h]: mapped by the guest, not by the nested tables
  Program p({0x8B, 0x04, 0x25, 0, 0, 0, 4, 0xF4});
  EXPECT_EQ(p.run(), ExitCode::npf);
  EXPECT_EQ(p.bench.vmcb.exitinfo2, 0x4000000u);
  ASSERT_EQ(p.bench.vmcb.instruction_byte_count, 7);
  EXPECT_EQ(p.bench.vmcb.instruction_bytes.at[0], 0x8B);
}

}  // namespace
}  // namespace softsnp::cpu::test
