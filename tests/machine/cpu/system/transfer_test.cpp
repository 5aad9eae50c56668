// IRET, far transfers, SYSCALL and kin, segment loads.
#include "tests/machine/cpu/system/bench.hpp"

namespace softsnp::cpu::test {
namespace {

using x86::Gpr;
using x86::Segment;
namespace f = x86::rflags;

void put_frame(Bench& b, u64 at, u64 rip, u64 cs, u64 flags, u64 rsp, u64 ss) {
  const u64 values[] = {rip, cs, flags, rsp, ss};
  for (unsigned i = 0; i < 5; ++i) {
    b.poke<u64>(at + 8 * i, values[i]);
  }
}

TEST(Iret, ToUserKeepsBasesOfNullSelectors) {
  Bench b;
  b.state().seg[4].base = 0x7F0000001000;
  b.state().nmi_masked = true;
  put_frame(b, stack_at - 40, 0x401000, user_code64_sel, f::if_ | f::fixed1, user_stack_at,
            user_data_sel);
  b.gpr(Gpr::rsp) = stack_at - 40;
  ASSERT_EQ(b.run(SystemOp::iret, {.bits = 64, .length = 2}), Outcome::done);
  EXPECT_EQ(b.vector(), no_vector);
  EXPECT_EQ(b.state().cpl, 3);
  EXPECT_EQ(b.state().rip, 0x401000u);
  EXPECT_EQ(b.gpr(Gpr::rsp), user_stack_at);
  EXPECT_EQ(b.state().seg[4].base, 0x7F0000001000u);
  EXPECT_FALSE(b.state().nmi_masked);
}

TEST(Iret, ToCompatibilityMode) {
  Bench b;
  put_frame(b, stack_at - 40, 0x401000, user_code32_sel, f::if_, 0xFFFFFFF0, user_data_sel);
  b.gpr(Gpr::rsp) = stack_at - 40;
  b.run(SystemOp::iret, {.bits = 64, .length = 2});
  EXPECT_FALSE(b.state().code64());
  EXPECT_TRUE(b.state().long_mode());
  EXPECT_EQ(b.gpr(Gpr::rsp), 0xFFFFFFF0u);
}

struct IretFault {
  const char* what;
  u64 rip, cs, ss;
  u64 extra_flags;
  int vector;
  u32 error;
};

TEST(Iret, Faults) {
  const IretFault rows[] = {
      {"null CS", 0x1000, 0, data_sel, 0, gp, 0},
      {"RIP not canonical", u64{1} << 47, code64_sel, data_sel, 0, gp, 0},
      {"data segment as CS", 0x1000, data_sel, data_sel, 0, gp, data_sel},
      {"CS not present", 0x1000, absent_sel, data_sel, 0, np_vector, absent_sel},
      {"null SS for CPL 3", 0x1000, user_code64_sel, 0, 0, gp, 0},
      {"SS of the wrong privilege", 0x1000, user_code64_sel, data_sel, 0, gp, data_sel},
      {"NT set", 0x1000, code64_sel, data_sel, f::nt, gp, 0},
  };
  for (const IretFault& row : rows) {
    Bench b;
    put_frame(b, stack_at - 40, row.rip, row.cs, f::fixed1, user_stack_at, row.ss);
    b.gpr(Gpr::rsp) = stack_at - 40;
    b.state().system_flags |= row.extra_flags;
    b.run(SystemOp::iret, {.bits = 64, .length = 2});
    ASSERT_EQ(b.vector(), row.vector) << row.what;
    EXPECT_EQ(b.error(), row.error) << row.what;
    EXPECT_EQ(b.recorder.deliveries.back().rip, rip_at) << row.what;
  }
}

TEST(Iret, UserCannotChangeIoplOrInterruptFlag) {
  Bench b;
  b.become_user();
  b.state().set_rflags(f::if_);
  put_frame(b, user_stack_at - 40, 0x1000, user_code64_sel, f::iopl | f::cf, user_stack_at,
            user_data_sel);
  b.gpr(Gpr::rsp) = user_stack_at - 40;
  b.run(SystemOp::iret, {.bits = 64, .length = 2});
  EXPECT_EQ(b.state().rflags(), f::if_ | f::cf | f::fixed1);
}

TEST(FarTransfer, ReturnAndCallGate) {
  Bench b;
  b.poke<u64>(stack_at - 16, 0x5000);
  b.poke<u64>(stack_at - 8, conforming_sel);
  b.gpr(Gpr::rsp) = stack_at - 16;
  b.run(SystemOp::far_return, {.bits = 64, .length = 2});
  EXPECT_EQ(b.vector(), no_vector);
  EXPECT_EQ(b.state().rip, 0x5000u);
  EXPECT_EQ(b.state().seg[1].selector, conforming_sel);
  EXPECT_EQ(b.gpr(Gpr::rsp), stack_at);

  // A call gate in place of the TSS descriptor, open to CPL 3.
  Bench c;
  c.poke<u64>(gdt_at + 0x38, (handler_at & 0xFFFF) | (u64{code64_sel} << 16) | (u64{0xEC} << 40) |
                                 (get_bits(handler_at, 31, 16) << 48));
  c.become_user();
  c.poke<u32>(data_at, 0);
  c.poke<u16>(data_at + 4, 0x38 | 3);
  c.run(SystemOp::far_call, {.memory = true, .address = data_at, .bits = 32, .length = 7});
  EXPECT_EQ(c.vector(), no_vector);
  EXPECT_EQ(c.state().cpl, 0);
  EXPECT_EQ(c.state().rip, handler_at);
  EXPECT_EQ(c.gpr(Gpr::rsp), stack_at - 32);
  EXPECT_EQ(c.peek<u64>(stack_at - 32), rip_at + 7);
  EXPECT_EQ(c.peek<u64>(stack_at - 24), user_code64_sel);
  EXPECT_EQ(c.peek<u64>(stack_at - 16), user_stack_at);
}

TEST(FarTransfer, JumpToPrivilegedCodeFaults) {
  Bench b;
  b.become_user();
  b.poke<u32>(data_at, 0x1000);
  b.poke<u16>(data_at + 4, code64_sel);
  b.run(SystemOp::far_jump, {.memory = true, .address = data_at, .bits = 32});
  EXPECT_EQ(b.vector(), gp);
  EXPECT_EQ(b.error(), code64_sel);
}

TEST(FarTransfer, RealModeJumpIntoProtectedMode) {
  Bench b;
  b.become_real();
  b.state().cr0 |= x86::cr0::pe;
  b.system.mode_changed();
  b.run(SystemOp::far_jump, {.imm = 0x5678, .bits = 16, .length = 5, .disp = code32_sel});
  EXPECT_EQ(b.vector(), no_vector);
  EXPECT_EQ(b.state().rip, 0x5678u);
  EXPECT_EQ(b.state().seg[1].attributes & svm::attribute::default_big, svm::attribute::default_big);
}

TEST(FastCalls, SyscallAndSysret) {
  Bench b;
  b.become_user();
  CoreState& s = b.state();
  s.star = 0x0023001000000000 - 0x0000000800000000;  // kernel CS 08
  s.lstar = 0xFFFFFFFF81000000;
  s.sfmask = 0x257FD5;
  s.set_rflags(f::if_ | f::zf | f::ac);
  b.run(SystemOp::syscall, {.length = 2});
  EXPECT_EQ(s.cpl, 0);
  EXPECT_EQ(s.rip, 0xFFFFFFFF81000000u);
  EXPECT_EQ(b.gpr(Gpr::rcx), rip_at + 2);
  EXPECT_EQ(b.gpr(Gpr::r11), f::if_ | f::zf | f::ac | f::fixed1);
  EXPECT_EQ(s.rflags(), f::fixed1);
  EXPECT_EQ(s.seg[1].selector, 8);
  EXPECT_EQ(s.seg[2].selector, 16);
  b.run(SystemOp::sysret, {.length = 3, .prefixes = prefix::rex_w});
  EXPECT_EQ(s.cpl, 3);
  EXPECT_EQ(s.rip, rip_at + 2);
  EXPECT_EQ(s.seg[1].selector, 0x33);
  EXPECT_EQ(s.seg[2].selector, 0x2B);
  EXPECT_TRUE(s.code64());
  EXPECT_EQ(s.rflags(), f::if_ | f::zf | f::ac | f::fixed1);
}

TEST(FastCalls, RefusedWhereAmdRefusesThem) {
  Bench b;
  b.state().efer &= ~x86::efer::sce;
  b.run(SystemOp::syscall);
  EXPECT_EQ(b.vector(), ud);
  b.run(SystemOp::sysenter);
  EXPECT_EQ(b.vector(), ud);  // long mode
  Bench c;
  c.become_user();
  c.run(SystemOp::swapgs);
  EXPECT_EQ(c.vector(), gp);
  Bench d;
  d.become_user();
  d.run(SystemOp::rdfsbase, {.r0 = 0});
  EXPECT_EQ(d.vector(), ud);  // CR4.FSGSBASE clear
}

TEST(FastCalls, BasesAndSwap) {
  Bench b;
  b.state().cr4 |= x86::cr4::fsgsbase;
  b.gpr(Gpr::rbx) = 0x123456789000;
  b.run(SystemOp::wrgsbase, {.r0 = 3});
  EXPECT_EQ(b.core->seg_base[5], 0x123456789000u);
  b.state().kernel_gs_base = 0xFFFF888000000000;
  b.run(SystemOp::swapgs);
  EXPECT_EQ(b.core->seg_base[5], 0xFFFF888000000000u);
  EXPECT_EQ(b.state().kernel_gs_base, 0x123456789000u);
  b.run(SystemOp::rdgsbase, {.r0 = 0, .bits = 32});
  EXPECT_EQ(b.gpr(Gpr::rax), 0u);
  b.gpr(Gpr::rbx) = u64{1} << 60;
  b.run(SystemOp::wrfsbase, {.r0 = 3});
  EXPECT_EQ(b.vector(), gp);
}

struct SegmentRow {
  const char* what;
  Segment which;
  u16 sel;
  bool user;
  int vector;
  u32 error;
};

TEST(Segments, LoadChecks) {
  const SegmentRow rows[] = {
      {"data", Segment::ds, data_sel, false, no_vector, 0},
      {"null data", Segment::ds, 0, false, no_vector, 0},
      {"null SS at CPL 0 in 64-bit mode", Segment::ss, 0, false, no_vector, 0},
      {"null SS at CPL 3", Segment::ss, 0, true, gp, 0},
      {"readable code as data", Segment::es, code64_sel, false, no_vector, 0},
      {"code as SS", Segment::ss, code64_sel, false, gp, code64_sel},
      {"beyond the table", Segment::ds, 0x1008, false, gp, 0x1008},
      {"privileged data from CPL 3", Segment::ds, data_sel, true, gp, data_sel},
      {"conforming code from CPL 3", Segment::ds, conforming_sel | 3, true, no_vector, 0},
      {"system descriptor", Segment::ds, tss_sel, false, gp, tss_sel},
      {"local without LDT", Segment::ds, 0xC, false, gp, 0xC},
      {"SS with other RPL", Segment::ss, data_sel | 1, false, gp, data_sel},
      {"not present", Segment::ds, absent_sel, false, np_vector, absent_sel},
  };
  for (const SegmentRow& row : rows) {
    Bench b;
    if (row.user) {
      b.become_user();
    }
    b.gpr(Gpr::rax) = row.sel;
    b.run(SystemOp::mov_to_seg, {.r0 = static_cast<u8>(row.which), .r1 = 0});
    ASSERT_EQ(b.vector(), row.vector) << row.what;
    if (row.vector == no_vector) {
      EXPECT_EQ(b.state().seg[static_cast<unsigned>(row.which)].selector, row.sel) << row.what;
    } else {
      EXPECT_EQ(b.error(), row.error) << row.what;
    }
  }
}

TEST(Segments, LoadSetsAccessedBit) {
  Bench b;
  b.gpr(Gpr::rax) = user_data_sel;
  ASSERT_EQ(b.peek<u64>(gdt_at + 0x18) & bit(40), 0u);
  b.run(SystemOp::mov_to_seg, {.r0 = 3, .r1 = 0});
  EXPECT_NE(b.peek<u64>(gdt_at + 0x18) & bit(40), 0u);
  EXPECT_EQ(b.state().seg[3].attributes, 0xCF3);
}

TEST(Segments, TablesAndSystemSegments) {
  Bench b;
  b.poke<u16>(data_at, 0x1FF);
  b.poke<u64>(data_at + 2, 0xFFFF800000001000);
  b.run(SystemOp::lgdt, {.memory = true, .address = data_at});
  EXPECT_EQ(b.state().gdtr.base, 0xFFFF800000001000u);
  EXPECT_EQ(b.state().gdtr.limit, 0x1FFu);
  b.run(SystemOp::sgdt, {.memory = true, .address = data_at + 0x100});
  EXPECT_EQ(b.peek<u64>(data_at + 0x102), 0xFFFF800000001000u);
  b.poke<u64>(data_at + 2, u64{1} << 55);
  b.run(SystemOp::lidt, {.memory = true, .address = data_at});
  EXPECT_EQ(b.state().idtr.base, idt_at);  // #GP: not canonical

  Bench c;
  c.poke<u64>(gdt_at + 0x38, 0x0000890080000067);
  c.gpr(Gpr::rax) = tss_sel;
  c.run(SystemOp::ltr, {.r0 = 0});
  EXPECT_EQ(c.vector(), no_vector);
  EXPECT_EQ(c.state().tr.base, tss_at);
  c.run(SystemOp::ltr, {.r0 = 0});
  EXPECT_EQ(c.vector(), gp);  // busy now
  c.gpr(Gpr::rax) = ldt_sel;
  c.run(SystemOp::lldt, {.r0 = 0});
  EXPECT_EQ(c.state().ldtr.base, data_at);
}

TEST(Segments, LarLslVerr) {
  Bench b;
  b.gpr(Gpr::rbx) = user_data_sel;
  b.run(SystemOp::lar, {.r0 = 0, .r1 = 3, .bits = 32});
  EXPECT_EQ(b.gpr(Gpr::rax), 0x00CFF200u);
  EXPECT_TRUE(b.state().flags.zf());
  b.run(SystemOp::lsl, {.r0 = 0, .r1 = 3, .bits = 32});
  EXPECT_EQ(b.gpr(Gpr::rax), 0xFFFFFFFFu);
  b.gpr(Gpr::rbx) = 0x2000;
  b.run(SystemOp::lsl, {.r0 = 0, .r1 = 3, .bits = 32});
  EXPECT_FALSE(b.state().flags.zf());
  EXPECT_EQ(b.gpr(Gpr::rax), 0xFFFFFFFFu);
  b.gpr(Gpr::rax) = code64_sel;
  b.run(SystemOp::verr, {.r0 = 0});
  EXPECT_TRUE(b.state().flags.zf());
  b.run(SystemOp::verw, {.r0 = 0});
  EXPECT_FALSE(b.state().flags.zf());
}

}  // namespace
}  // namespace softsnp::cpu::test
