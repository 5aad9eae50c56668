// What VMRUN and #VMEXIT move. Hardware sheet 8.1, 8.3, 9.2.
#include <random>

#include "tests/machine/cpu/svm/guest_bench.hpp"

namespace softsnp::cpu::test {
namespace {

using svm::ExitCode;
using Kind = GuestBench::Kind;

// Every field of the VMSA that this processor has, random but legal.
void randomize(svm::Vmsa& v, std::mt19937_64& random) {
  const auto keep = v;
  for (u32 i = 0; i < vmsa_bytes; ++i) {
    v.raw[i] = static_cast<u8>(random());
  }
  v.efer = keep.efer;
  v.cr0 = keep.cr0;
  v.cr4 = keep.cr4;
  v.dr6 = keep.dr6;
  v.dr7 = keep.dr7;
  v.xcr0 = 3;
  v.rflags = (v.rflags & 0xCD5) | 2;
  v.cpl = 0;
  v.vmpl = 0;
  v.mxcsr &= 0xFFFF;
  v.x87_ftw &= 0xFF;
  v.sev_features = keep.sev_features | snp::feature::debug_virtualization;
}

TEST(WorldSwitch, VmsaSurvivesARoundTrip) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    GuestBench b(Kind::snp);
    randomize(b.vmsa, random);
    b.write();
    const svm::Vmsa before = b.vmsa;
    ASSERT_TRUE(b.vmrun());
    ASSERT_TRUE(b.svm.in_guest());
    EXPECT_EQ(b.state().gpr[9], before.r9);
    ASSERT_EQ(b.svm.on_budget(), Run::exited);
    b.reload();
    EXPECT_EQ(b.exitcode(), ExitCode::intr);
    EXPECT_EQ(b.vmsa.guest_exitcode, 0x60u);
    svm::Vmsa after = b.vmsa;
    // What an exit does write.
    after.guest_exitcode = before.guest_exitcode;
    after.guest_exitinfo1 = before.guest_exitinfo1;
    after.guest_exitinfo2 = before.guest_exitinfo2;
    after.guest_exitintinfo = before.guest_exitintinfo;
    after.guest_nrip = before.guest_nrip;
    EXPECT_EQ(after.pcpu_id, 1u);
    after.pcpu_id = before.pcpu_id;
    after.virtual_tom = before.virtual_tom;
    for (u32 i = 0; i < page_size; ++i) {
      ASSERT_EQ(after.raw[i], before.raw[i]) << "offset " << std::hex << i;
    }
  }
}

TEST(WorldSwitch, VmsaIsCiphertextToTheHost) {
  GuestBench b(Kind::snp);
  b.vmsa.rax = 0x1122334455667788;
  b.write();
  ASSERT_TRUE(b.vmrun());
  b.svm.on_budget();
  EXPECT_NE(b.peek<u64>(vmsa_at + 0x1F8), 0x1122334455667788u);
  EXPECT_EQ(b.peek<svm::Vmcb>(vmcb_at).rax, 0u);
}

TEST(WorldSwitch, HostStateByType) {
  GuestBench b(Kind::snp);
  CoreState& s = b.state();
  s.kernel_gs_base = 0xFFFF888000001000;
  s.gpr[3] = 0x3333;
  s.cr2 = 0x1234;
  s.xcr0 = 3;
  s.pat = 0x0407050600070106;
  s.dr7 = 0x401;
  // The host's duty for type B.
  b.poke<u64>(hsave_at + 0x400 + 0x220, 0xFFFF888000002000);
  b.poke<u64>(hsave_at + 0x400 + 0x318, 0x4444);
  b.poke<u64>(hsave_at + 0x400 + 0x3E8, 1);
  const u64 rip = s.rip;
  const u64 rsp = s.gpr[4];
  const u64 cr3 = s.cr3;
  const u64 efer = s.efer;
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(s.cr0, 0x60000010u);
  EXPECT_EQ(s.pat, 0x0007040600070406u);
  b.svm.on_budget();
  EXPECT_EQ(s.rip, rip);  // type A
  EXPECT_EQ(s.gpr[4], rsp);
  EXPECT_EQ(s.cr3, cr3);
  EXPECT_EQ(s.efer, efer);
  EXPECT_EQ(s.seg[1].selector, code64_sel);
  EXPECT_EQ(s.kernel_gs_base, 0xFFFF888000002000u);  // type B: as the save area says
  EXPECT_EQ(s.gpr[3], 0x4444u);
  EXPECT_EQ(s.xcr0, 1u);
  EXPECT_EQ(s.cr2, 0u);  // type C: reset
  EXPECT_EQ(s.dr7, 0x400u);
  EXPECT_EQ(s.fx.fcw, 0x37F);
  EXPECT_EQ(s.pat, 0x0407050600070106u);
}

TEST(WorldSwitch, PlainGuestMovesOnlyItsSaveArea) {
  GuestBench b(Kind::plain);
  b.vmcb.rip = 0x123;
  b.vmcb.rax = 0xAA;
  b.vmcb.rsp = 0x5000;
  b.vmcb.cr2 = 0xC2;
  b.write();
  CoreState& s = b.state();
  s.gpr[3] = 0x3333;
  s.kernel_gs_base = 0x77;
  s.fx.fcw = 0x27F;
  const u64 rip = s.rip;
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(s.rip, 0x123u);
  EXPECT_EQ(s.gpr[0], 0xAAu);
  EXPECT_EQ(s.gpr[3], 0x3333u);
  s.gpr[3] = 0x5555;
  s.rip = 0x321;
  s.cr2 = 0x2C;
  b.svm.on_budget();
  b.reload();
  EXPECT_EQ(b.vmcb.rip, 0x321u);
  EXPECT_EQ(b.vmcb.cr2, 0x2Cu);
  EXPECT_EQ(s.rip, rip);
  EXPECT_EQ(s.gpr[3], 0x5555u);  // the guest's, for the host to save
  EXPECT_EQ(s.fx.fcw, 0x27F);
  EXPECT_EQ(s.kernel_gs_base, 0x77u);
}

TEST(WorldSwitch, VmloadAndVmsave) {
  GuestBench b(Kind::plain);
  b.vmcb.fs = {0, 0, 0, 0x7F00};
  b.vmcb.star = 0x0023001000000000;
  b.vmcb.tr = {0x40, 0x8B, 0x67, tss_at};
  b.write();
  ASSERT_TRUE(b.svm.vmload(SystemPhysical(vmcb_at)).ok());
  EXPECT_EQ(b.state().seg[4].base, 0x7F00u);
  EXPECT_EQ(b.state().star, 0x0023001000000000u);
  b.state().lstar = 0x1234;
  ASSERT_TRUE(b.svm.vmsave(SystemPhysical(vmcb_at)).ok());
  EXPECT_EQ(b.peek<svm::Vmcb>(vmcb_at).lstar, 0x1234u);
  EXPECT_FALSE(b.svm.vmsave(SystemPhysical(vmcb_at + 1)).ok());
}

TEST(WorldSwitch, PagesAreInUseBetween) {
  GuestBench b(Kind::snp);
  ASSERT_TRUE(b.vmrun());
  EXPECT_TRUE(b.rmp.in_use(SystemPhysical(vmcb_at)));
  EXPECT_TRUE(b.rmp.in_use(SystemPhysical(vmsa_at)));
  EXPECT_EQ(b.rmp.rmpupdate(SystemPhysical(vmsa_at), {}, Asid::host), snp::RmpResult::fail_inuse);
  b.svm.on_budget();
  EXPECT_FALSE(b.rmp.in_use(SystemPhysical(vmcb_at)));
  EXPECT_FALSE(b.rmp.in_use(SystemPhysical(vmsa_at)));
}

TEST(WorldSwitch, VmplComesFromTheVmsa) {
  GuestBench b(Kind::snp);
  b.vmsa.vmpl = 2;
  b.write();
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(b.mmu.guest().vmpl, Vmpl::vmpl2);
}

TEST(WorldSwitch, FullTagWordOfLinuxApStart) {
  GuestBench b(Kind::snp);
  ASSERT_TRUE(b.vmrun());
  EXPECT_EQ(b.state().fx.ftw, 0xFF);
  b.svm.on_budget();
  b.reload();
  EXPECT_EQ(b.vmsa.x87_ftw, 0xFF);
}

TEST(WorldSwitch, ExitFields) {
  GuestBench b(Kind::snp);
  b.vmsa.rflags = 2 | x86::rflags::if_;
  b.vmsa.sev_features |= snp::feature::vmgexit_parameter;
  b.vmsa.rax = 0x99;
  b.vmcb.allowed_sev_features = bit(63) | 0x7FF;
  b.vmcb.ghcb = 0x1000;
  b.write();
  ASSERT_TRUE(b.vmrun());
  b.system.controls().ghcb = 0x2006;
  b.state().interrupt_shadow = true;
  Op op{};
  OpInfo info{};
  info.system_id = static_cast<u16>(SystemOp::vmgexit);
  info.length = 4;
  Block block;
  block.ops = &op;
  block.info = &info;
  b.core->block = &block;
  b.core->stop_op = &op;
  ASSERT_EQ(b.svm.on_system(), Run::exited);
  b.reload();
  EXPECT_EQ(b.exitcode(), ExitCode::vmgexit);
  EXPECT_EQ(b.vmcb.ghcb, 0x2006u);
  EXPECT_EQ(b.vmcb.interrupt_state, svm::interrupt_state::guest_interrupt_mask);
  EXPECT_EQ(b.vmcb.vmgexit_rax, 0x99u);
  EXPECT_EQ(b.vmcb.guest_sev_features, b.vmsa.sev_features);
  EXPECT_EQ(b.vmcb.nrip, 0u);
  EXPECT_EQ(b.vmsa.guest_nrip, 4u);
  EXPECT_EQ(b.vmsa.rip, 4u);
}

}  // namespace
}  // namespace softsnp::cpu::test
