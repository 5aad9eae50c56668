// Injection, virtual interrupts, windows, reflected #VC, RMP instructions inside a guest.
#include "tests/machine/cpu/svm/guest_bench.hpp"

namespace softsnp::cpu::test {
namespace {

using svm::ExitCode;
using x86::Gpr;
using Kind = GuestBench::Kind;
namespace f = x86::rflags;

constexpr u64 v_irq(u8 vector, u64 priority) {
  return svm::vintr::v_intr_masking | svm::vintr::v_irq | (priority << 16) | (u64{vector} << 32);
}

// 64-bit state on the bench's own tables, for a guest that maps memory one to one.
void long_mode(GuestBench& b) {
  auto& v = b.vmcb;
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
  auto& s = b.vmsa;
  s.cr0 = v.cr0;
  s.cr4 = v.cr4;
  s.cr3 = v.cr3;
  s.efer = v.efer;
  s.cs = v.cs;
  s.ss = v.ss;
  s.idtr = v.idtr;
  s.gdtr = v.gdtr;
  s.rip = rip_at;
  s.rsp = stack_at;
}

TEST(Events, InjectedAtEntry) {
  GuestBench b(Kind::plain);
  long_mode(b);
  b.vmcb.eventinj = svm::event::make(14, svm::event::Type::exception, true, 2);
  b.write();
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(b.state().rip, handler_at + 14 * 16);
  EXPECT_EQ(b.peek<u64>(stack_at - 48), 2u);
  b.svm.on_budget();
  EXPECT_EQ(b.peek<svm::Vmcb>(vmcb_at).eventinj, 0u);
}

TEST(Events, SoftwareInterruptReturnsToNrip) {
  GuestBench b(Kind::plain);
  long_mode(b);
  b.vmcb.eventinj = svm::event::make(0x21, svm::event::Type::software);
  b.vmcb.nrip = rip_at + 2;
  b.write();
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(b.peek<u64>(stack_at - 40), rip_at + 2);
}

TEST(Events, FailedInjectionExitsWithTheEvent) {
  GuestBench b(Kind::plain);
  long_mode(b);
  b.vmcb.rsp = 0x3000000;  // beyond the nested tables
  b.poke<u64>(0x3000 + 8 * 24, (u64{24} << 21) | 0x87);
  b.vmcb.eventinj = svm::event::make(0x21, svm::event::Type::interrupt);
  b.write();
  ASSERT_TRUE(b.vmrun());
  EXPECT_FALSE(b.svm.in_guest());
  EXPECT_EQ(b.exitcode(), ExitCode::npf);
  EXPECT_EQ(b.peek<svm::Vmcb>(vmcb_at).exitintinfo,
            svm::event::make(0x21, svm::event::Type::interrupt));
}

TEST(Events, VirtualInterruptWaitsForItsWindow) {
  GuestBench b(Kind::plain);
  long_mode(b);
  b.vmcb.vintr = v_irq(0x30, 3);
  b.write();
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(b.svm.before_block(), Run::in_guest);
  EXPECT_EQ(b.state().rip, rip_at);
  EXPECT_TRUE(b.core->event_pending);
  b.state().system_flags |= f::if_;
  b.state().interrupt_shadow = true;
  EXPECT_EQ(b.svm.before_block(), Run::in_guest);
  EXPECT_EQ(b.state().rip, rip_at);
  EXPECT_TRUE(b.svm.must_single_step());
  b.svm.single_stepped();
  b.system.controls().vintr |= 5;  // V_TPR above the priority
  EXPECT_EQ(b.svm.before_block(), Run::in_guest);
  EXPECT_EQ(b.state().rip, rip_at);
  b.system.controls().vintr &= ~u64{5};
  EXPECT_EQ(b.svm.before_block(), Run::in_guest);
  EXPECT_EQ(b.state().rip, handler_at + 0x30 * 16);
  b.svm.on_budget();
  EXPECT_EQ(b.peek<svm::Vmcb>(vmcb_at).vintr & svm::vintr::v_irq, 0u);
}

TEST(Events, InterruptWindowExit) {
  GuestBench b(Kind::plain);
  long_mode(b);
  b.vmcb.vintr = v_irq(0, 15);
  b.vmcb.rflags |= f::if_;
  b.vmcb.intercept_misc1 |= svm::misc1::vintr;
  b.write();
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(b.svm.before_block(), Run::exited);
  EXPECT_EQ(b.exitcode(), ExitCode::vintr);
  EXPECT_NE(b.peek<svm::Vmcb>(vmcb_at).vintr & svm::vintr::v_irq, 0u);
}

TEST(Events, AlternateInjectionUsesTheVmsa) {
  GuestBench c(Kind::sev_es);
  long_mode(c);
  c.vmsa.sev_features = snp::feature::alternate_injection;
  c.vmsa.vintr_ctrl = svm::vintr::v_irq | (u64{3} << 16) | (u64{0x30} << 32);
  c.vmcb.vintr = svm::vintr::v_intr_masking;
  c.write();
  ASSERT_TRUE(c.vmrun());
  ASSERT_TRUE(c.svm.in_guest());
  EXPECT_EQ(c.svm.before_block(), Run::in_guest);
  EXPECT_TRUE(c.core->event_pending);
  c.svm.on_budget();
  c.reload();
  EXPECT_EQ(c.vmsa.vintr_ctrl, svm::vintr::v_irq | (u64{3} << 16) | (u64{0x30} << 32));
  EXPECT_EQ(c.vmcb.vintr, svm::vintr::v_intr_masking);
}

// An SNP guest with paging off: all data is private, so pages need only be assigned.
struct SnpGuest : GuestBench {
  SnpGuest() : GuestBench(Kind::snp) {
    vmsa.cr0 = x86::cr0::pe | x86::cr0::et;
    vmsa.cs = {8, 0xC9B, 0xFFFFFFFF, 0};
    vmsa.ds = vmsa.es = vmsa.ss = {16, 0xC93, 0xFFFFFFFF, 0};
    split(0x400000);
    assign(0x400000, false, false);
    write();
    EXPECT_TRUE(vmrun());
  }
  // A 4 KiB nested leaf instead of the 2 MiB one.
  void split(u64 at) {
    const u64 table = npt_at + 0x3000;
    for (u64 i = 0; i < 512; ++i) {
      poke<u64>(table + 8 * i, (at + (i << 12)) | 0x67);
    }
    poke<u64>(npt_at + 0x2000 + 8 * (at >> 21), table | 7);
  }
  Run run_op(SystemOp id) {
    op_ = {};
    op_.address_bits = 32;
    info_ = {};
    info_.system_id = static_cast<u16>(id);
    info_.length = 4;
    block_.ops = &op_;
    block_.info = &info_;
    core->block = &block_;
    core->stop_op = &op_;
    return svm.on_system();
  }
  Run pvalidate(u64 at, u64 size, u64 validate) {
    gpr(Gpr::rax) = at;
    gpr(Gpr::rcx) = size;
    gpr(Gpr::rdx) = validate;
    return run_op(SystemOp::pvalidate);
  }
  Op op_{};
  OpInfo info_{};
  Block block_;
};

TEST(RmpInstructions, PvalidateTwiceSetsCarry) {
  SnpGuest g;
  ASSERT_EQ(g.pvalidate(0x400000, 0, 1), Run::in_guest);
  EXPECT_EQ(g.gpr(Gpr::rax), 0u);
  EXPECT_FALSE(g.state().flags.cf());
  EXPECT_TRUE(g.state().flags.zf());
  EXPECT_TRUE(g.rmp.entry(SystemPhysical(0x400000)).validated());
  ASSERT_EQ(g.pvalidate(0x400000, 0, 1), Run::in_guest);
  EXPECT_EQ(g.gpr(Gpr::rax), 0u);
  EXPECT_TRUE(g.state().flags.cf());
  ASSERT_EQ(g.recorder.rmp_events.size(), 2u);
  EXPECT_TRUE(g.recorder.rmp_events[1].carry);
}

TEST(RmpInstructions, PvalidateMisalignedAndMismatched) {
  SnpGuest g;
  ASSERT_EQ(g.pvalidate(0x401000, 1, 1), Run::in_guest);
  EXPECT_EQ(g.gpr(Gpr::rax), 1u);
  EXPECT_FALSE(g.state().flags.zf());
  ASSERT_EQ(g.pvalidate(0x400000, 1, 1), Run::in_guest);
  EXPECT_EQ(g.gpr(Gpr::rax), 6u);
}

TEST(RmpInstructions, PvalidateOfAForeignPageIsANestedFault) {
  SnpGuest g;
  ASSERT_EQ(g.pvalidate(0x402123, 0, 1), Run::exited);
  EXPECT_EQ(g.exitcode(), ExitCode::npf);
  const auto vmcb = g.peek<svm::Vmcb>(vmcb_at);
  EXPECT_EQ(vmcb.exitinfo1, 5 | snp::npf::rmp | snp::npf::final_gpa | snp::npf::enc);
  EXPECT_EQ(vmcb.exitinfo2 & ~page_offset_mask, 0x402000u);
  EXPECT_EQ(g.system.last_refusal().value & ~page_offset_mask, 0x402000u);
}

TEST(RmpInstructions, PvalidateThroughALargeMapping) {
  SnpGuest g;
  snp::RmpEntry e;
  e.set_assigned(true);
  e.set_asid(g.asid());
  e.set_gpa(GuestPhysical(0x600000));
  e.set_size(PageSize::size_2m);
  g.rmp.write_page(SystemPhysical(0x600000), PageSize::size_2m, e, {});
  ASSERT_EQ(g.pvalidate(0x600000, 0, 1), Run::exited);
  EXPECT_NE(g.peek<svm::Vmcb>(vmcb_at).exitinfo1 & snp::npf::sizem, 0u);
}

TEST(RmpInstructions, NotAtLowerPrivilege) {
  SnpGuest g;
  g.mmu.guest().vmpl = Vmpl::vmpl1;
  g.state().idtr.limit = 0;
  ASSERT_EQ(g.pvalidate(0x400000, 0, 1), Run::exited);  // #GP that cannot be delivered
  EXPECT_EQ(g.exitcode(), ExitCode::shutdown);
  EXPECT_EQ(g.recorder.chain.at[0].vector, gp);
}

TEST(RmpInstructions, RmpadjustOnlyInSixtyFourBitMode) {
  SnpGuest g;
  g.state().idtr.limit = 0;
  g.run_op(SystemOp::rmpadjust);
  EXPECT_EQ(g.recorder.chain.at[0].vector, ud);
}

TEST(Events, HltExitsBehindTheInstruction) {
  SnpGuest g;
  ASSERT_EQ(g.run_op(SystemOp::hlt), Run::exited);
  EXPECT_EQ(g.exitcode(), ExitCode::hlt);
  g.reload();
  EXPECT_EQ(g.vmsa.rip, 4u);
}

TEST(Events, HltNotInterceptedWaitsForTheHost) {
  GuestBench b(Kind::plain);
  b.vmcb.intercept_misc1 &= ~svm::misc1::hlt;
  b.write();
  ASSERT_TRUE(b.vmrun());
  Op op{};
  OpInfo info{};
  info.system_id = static_cast<u16>(SystemOp::hlt);
  info.length = 1;
  Block block;
  block.ops = &op;
  block.info = &info;
  b.core->block = &block;
  b.core->stop_op = &op;
  EXPECT_EQ(b.svm.on_system(), Run::exited);
  EXPECT_EQ(b.exitcode(), ExitCode::intr);
  EXPECT_EQ(b.peek<svm::Vmcb>(vmcb_at).rip, 1u);
}

TEST(Events, ReflectedVcIsDescribedInTheVmsa) {
  GuestBench b(Kind::snp);
  b.vmsa.sev_features |= snp::feature::reflect_vc;
  b.write();
  ASSERT_TRUE(b.vmrun());
  Op op{};
  OpInfo info{};
  info.system_id = static_cast<u16>(SystemOp::cpuid);
  info.length = 2;
  Block block;
  block.ops = &op;
  block.info = &info;
  b.core->block = &block;
  b.core->stop_op = &op;
  ASSERT_EQ(b.svm.on_system(), Run::exited);
  b.reload();
  EXPECT_EQ(b.exitcode(), ExitCode::exception_vc);
  EXPECT_EQ(b.vmsa.guest_exitcode, 0x72u);
}

TEST(Events, SecureTscScalesTheReferenceClock) {
  GuestBench b(Kind::snp);
  b.vmsa.sev_features |= snp::feature::secure_tsc;
  b.vmsa.guest_tsc_scale = u64{20} << 32;  // 2 GHz of 100 MHz
  b.vmsa.guest_tsc_offset = 7;
  b.vmcb.tsc_offset = 1'000'000;
  b.write();
  b.platform.now = 1'000'000'000;  // one second
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(b.system.guest_tsc(), 2'000'000'007u);
}

}  // namespace
}  // namespace softsnp::cpu::test
