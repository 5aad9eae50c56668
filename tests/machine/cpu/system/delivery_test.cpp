// APM2 8.2, 8.6-8.9: taking events through the interrupt table.
#include "tests/machine/cpu/system/bench.hpp"

namespace softsnp::cpu::test {
namespace {

using x86::Gpr;
namespace f = x86::rflags;

Fault exception(u8 vector, bool has_error = false, u32 error = 0, u64 address = 0) {
  Fault fault;
  fault.kind = FaultKind::exception;
  fault.vector = vector;
  fault.has_error = has_error;
  fault.error_code = error;
  fault.address = address;
  return fault;
}

TEST(DeliveryLong, PushesFrameOnSameStackAndAlignsIt) {
  Bench b;
  b.gpr(Gpr::rsp) = stack_at - 3;
  b.state().set_rflags(f::if_ | f::cf | f::tf | f::fixed1);
  ASSERT_EQ(b.system.deliver(exception(6)), Outcome::done);
  const u64 rsp = b.gpr(Gpr::rsp);
  EXPECT_EQ(rsp, ((stack_at - 3) & ~u64{15}) - 40);
  EXPECT_EQ(b.peek<u64>(rsp), rip_at);
  EXPECT_EQ(b.peek<u64>(rsp + 8), code64_sel);
  EXPECT_EQ(b.peek<u64>(rsp + 16), f::if_ | f::cf | f::tf | f::fixed1 | f::rf);
  EXPECT_EQ(b.peek<u64>(rsp + 24), stack_at - 3);
  EXPECT_EQ(b.peek<u64>(rsp + 32), data_sel);
  EXPECT_EQ(b.state().rip, handler_at + 6 * 16);
  EXPECT_EQ(b.state().rflags() & (f::if_ | f::tf | f::rf), 0u);
}

TEST(DeliveryLong, UserToKernelSwitchesStackAndNullsSs) {
  Bench b;
  b.become_user();
  ASSERT_EQ(b.system.deliver(exception(14, true, 7, 0x1234000)), Outcome::done);
  EXPECT_EQ(b.state().cpl, 0);
  EXPECT_EQ(b.state().cr2, 0x1234000u);
  EXPECT_EQ(b.state().seg[2].selector, 0);
  EXPECT_EQ(b.state().seg[1].selector, code64_sel);
  EXPECT_EQ(b.gpr(Gpr::rsp), stack_at - 48);
  EXPECT_EQ(b.peek<u64>(stack_at - 48), 7u);
  EXPECT_EQ(b.peek<u64>(stack_at - 32), user_code64_sel);
  EXPECT_EQ(b.peek<u64>(stack_at - 16), user_stack_at);
  EXPECT_EQ(b.peek<u64>(stack_at - 8), user_data_sel);
}

TEST(DeliveryLong, IstReplacesStackEvenWithoutPrivilegeChange) {
  Bench b;
  b.gate(29, code64_sel, handler_at, 0x8E, 1);
  ASSERT_EQ(b.system.deliver(exception(29, true, 0x72)), Outcome::done);
  EXPECT_EQ(b.gpr(Gpr::rsp), ist_at - 48);
  EXPECT_EQ(b.peek<u64>(ist_at - 48), 0x72u);
}

TEST(DeliveryLong, TrapGateKeepsInterruptFlag) {
  Bench b;
  b.gate(6, code64_sel, handler_at, 0x8F);
  b.state().set_rflags(f::if_);
  ASSERT_EQ(b.system.deliver(exception(6)), Outcome::done);
  EXPECT_NE(b.state().rflags() & f::if_, 0u);
}

struct GateFault {
  const char* what;
  u16 sel;
  u8 type;
  int vector;
  u32 error;
};

// The handler of #UD is broken in some way; INT 40h is used so that the second fault is serial.
TEST(DeliveryLong, BrokenGatesFault) {
  const GateFault rows[] = {
      {"not present", code64_sel, 0x0E, np_vector, 0x40 * 8 + 2},
      {"call gate type", code64_sel, 0x8C, gp, 0x40 * 8 + 2},
      {"task gate", code64_sel, 0x85, gp, 0x40 * 8 + 2},
      {"null selector", 3, 0xEE, gp, 0},
      {"beyond the GDT", 0x1000, 0xEE, gp, 0x1000},
      {"data segment", data_sel, 0xEE, gp, data_sel},
      {"32-bit code", code32_sel, 0xEE, gp, code32_sel},
      {"code not present", absent_sel, 0xEE, np_vector, absent_sel},
  };
  for (const GateFault& row : rows) {
    Bench b;
    b.gate(0x40, row.sel, handler_at, row.type);
    b.run(SystemOp::int_n, {.imm = 0x40, .length = 2});
    EXPECT_EQ(b.vector(), row.vector) << row.what;
    EXPECT_EQ(b.error(), row.error) << row.what;
    EXPECT_EQ(b.recorder.deliveries.back().rip, rip_at) << row.what;
  }
}

TEST(DeliveryLong, ExternalInterruptSetsExtBit) {
  Bench b;
  b.gate(0x40, code64_sel, handler_at, 0x0E);
  Event event;
  event.kind = EventKind::interrupt;
  event.vector = 0x40;
  event.return_rip = rip_at;
  ASSERT_EQ(b.system.inject(event), Outcome::done);
  EXPECT_EQ(b.vector(), np_vector);
  EXPECT_EQ(b.error(), 0x40u * 8 + 3);
}

TEST(DeliveryLong, SoftwareInterruptChecksGatePrivilege) {
  Bench b;
  b.become_user();
  b.run(SystemOp::int_n, {.imm = 0x20, .length = 2});
  EXPECT_EQ(b.vector(), gp);
  EXPECT_EQ(b.error(), 0x20u * 8 + 2);
  Bench c;
  c.become_user();
  c.gate(3, code64_sel, handler_at, 0xEE);
  c.run(SystemOp::int3, {.length = 1});
  EXPECT_EQ(c.vector(), 3);
  EXPECT_EQ(c.peek<u64>(stack_at - 40), rip_at + 1);  // a trap: behind INT3
  EXPECT_EQ(c.peek<u64>(stack_at - 24) & f::rf, 0u);
}

TEST(DeliveryLong, ContributoryPairMakesDoubleFault) {
  Bench b;
  b.gate(13, code64_sel, handler_at, 0x0E);  // #GP handler not present: #NP while delivering
  ASSERT_EQ(b.system.deliver(exception(13, true, 0)), Outcome::done);
  EXPECT_EQ(b.vector(), 8);
  EXPECT_EQ(b.error(), 0u);
}

TEST(DeliveryLong, BenignThenContributoryIsSerial) {
  Bench b;
  b.gate(6, code64_sel, handler_at, 0x0E);
  ASSERT_EQ(b.system.deliver(exception(6)), Outcome::done);
  EXPECT_EQ(b.vector(), np_vector);
}

TEST(DeliveryLong, PageFaultWhilePageFaultIsDouble) {
  Bench b;
  b.poke<u64>(0x3000 + 8 * 8, 0);  // 16 MiB .. 18 MiB not present
  b.poke<u64>(tss_at + 4, 0x1000800);
  b.become_user();
  b.gate(8, code64_sel, handler_at, 0x8E, 1);
  ASSERT_EQ(b.system.deliver(exception(14, true, 4, 0x77000)), Outcome::done);
  EXPECT_EQ(b.vector(), 8);
  EXPECT_EQ(b.state().cr2, 0x77000u);  // #DF does not move CR2
}

TEST(DeliveryLong, TripleFaultShutsDownAndTellsTheChain) {
  Bench b;
  b.state().idtr.limit = 0;
  ASSERT_EQ(b.system.deliver(exception(14, true, 4, 0x77000)), Outcome::vmexit);
  EXPECT_EQ(b.system.exit().code, svm::ExitCode::shutdown);
  ASSERT_GE(b.recorder.chain.count, 3u);
  EXPECT_EQ(b.recorder.chain.at[0].vector, 14);
  EXPECT_EQ(b.recorder.chain.at[1].vector, 8);
  EXPECT_EQ(b.recorder.chain.at[2].vector, 13);
}

TEST(DeliveryReal, UsesVectorTable) {
  Bench b;
  b.become_real();
  b.poke<u32>(4 * 0x10, 0x20001234);
  b.state().set_rflags(f::if_ | f::zf);
  b.run(SystemOp::int_n, {.imm = 0x10, .bits = 16, .length = 2});
  EXPECT_EQ(b.state().rip, 0x1234u);
  EXPECT_EQ(b.state().seg[1].selector, 0x2000);
  EXPECT_EQ(b.state().seg[1].base, 0x20000u);
  EXPECT_EQ(b.gpr(Gpr::rsp), 0x9000u - 6);
  EXPECT_EQ(b.peek<u16>(0x9000 - 6), 0x7002);
  EXPECT_EQ(b.peek<u16>(0x9000 - 2), f::if_ | f::zf | f::fixed1);
  EXPECT_EQ(b.state().rflags() & f::if_, 0u);
  b.run(SystemOp::iret, {.bits = 16, .length = 1});
  EXPECT_EQ(b.state().rip, 0x7002u);
  EXPECT_EQ(b.gpr(Gpr::rsp), 0x9000u);
  EXPECT_NE(b.state().rflags() & f::if_, 0u);
}

TEST(DeliveryProtected, ThirtyTwoBitGateAndInnerStack) {
  Bench b;
  b.become_protected();
  b.legacy_gate(0x30, code32_sel, 0x30100, 0xEE);
  b.poke<u32>(tss_at + 4, 0xA000);
  b.poke<u16>(tss_at + 8, data_sel);
  CoreState& s = b.state();
  s.cpl = 3;
  s.seg[1] = {user_code32_sel, 0xCFB, 0xFFFFFFFF, 0};
  s.seg[2] = {user_data_sel, 0xCF3, 0xFFFFFFFF, 0};
  b.gpr(Gpr::rsp) = 0xC000;
  b.system.mode_changed();
  b.run(SystemOp::int_n, {.imm = 0x30, .bits = 32, .length = 2});
  EXPECT_EQ(s.cpl, 0);
  EXPECT_EQ(s.rip, 0x30100u);
  EXPECT_EQ(s.seg[2].selector, data_sel);
  EXPECT_EQ(b.gpr(Gpr::rsp), 0xA000u - 20);
  EXPECT_EQ(b.peek<u32>(0xA000 - 20), rip_at + 2);
  EXPECT_EQ(b.peek<u32>(0xA000 - 8), 0xC000u);
  EXPECT_EQ(b.peek<u32>(0xA000 - 4), user_data_sel);
  b.run(SystemOp::iret, {.bits = 32, .length = 1});
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.rip, rip_at + 2);
  EXPECT_EQ(b.gpr(Gpr::rsp), 0xC000u);
}

TEST(DeliveryProtected, VirtualMachineOfThe8086AndBack) {
  Bench b;
  b.become_protected();
  b.legacy_gate(6, code32_sel, 0x30060, 0x8E);
  b.poke<u32>(tss_at + 4, 0xA000);
  b.poke<u16>(tss_at + 8, data_sel);
  // IRET into v8086 mode.
  const u32 image[] = {0x100,  0x2000, static_cast<u32>(f::vm | f::if_ | f::fixed1),
                       0xFF0,  0x3000, 0x4000,
                       0x5000, 0x6000, 0x7000};
  for (unsigned i = 0; i < std::size(image); ++i) {
    b.poke<u32>(stack_at - 36 + 4 * i, image[i]);
  }
  b.gpr(Gpr::rsp) = stack_at - 36;
  b.run(SystemOp::iret, {.bits = 32, .length = 1});
  CoreState& s = b.state();
  ASSERT_TRUE(s.v8086());
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.rip, 0x100u);
  EXPECT_EQ(s.seg[1].base, 0x20000u);
  EXPECT_EQ(s.seg[0].selector, 0x4000);
  EXPECT_EQ(s.seg[5].selector, 0x7000);
  ASSERT_EQ(b.system.deliver(exception(6)), Outcome::done);
  EXPECT_FALSE(s.v8086());
  EXPECT_EQ(s.cpl, 0);
  EXPECT_EQ(s.seg[5].selector, 0);
  EXPECT_EQ(b.gpr(Gpr::rsp), 0xA000u - 36);
  EXPECT_EQ(b.peek<u32>(0xA000 - 4), 0x7000u);   // GS
  EXPECT_EQ(b.peek<u32>(0xA000 - 20), 0x3000u);  // SS
}

}  // namespace
}  // namespace softsnp::cpu::test
