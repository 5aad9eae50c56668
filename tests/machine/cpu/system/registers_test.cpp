// Control and debug registers, MSRs, flags, I/O permission.
#include "machine/cpu/system/msr_table.hpp"
#include "machine/cpu/system/paging_mode.hpp"
#include "tests/machine/cpu/system/bench.hpp"

namespace softsnp::cpu::test {
namespace {

using x86::Gpr;
namespace f = x86::rflags;
namespace m = x86::msr;

struct CrRow {
  const char* what;
  u8 cr;
  u64 value;
  int vector;
};

constexpr u64 host_cr0 = x86::cr0::pg | x86::cr0::pe | x86::cr0::et;

TEST(ControlRegisters, WritesAreChecked) {
  const CrRow rows[] = {
      {"CR0 as it is", 0, host_cr0, no_vector},
      {"PG without PE", 0, x86::cr0::pg, gp},
      {"NW without CD", 0, host_cr0 | x86::cr0::nw, gp},
      {"NW with CD", 0, host_cr0 | x86::cr0::nw | x86::cr0::cd, no_vector},
      {"CR0 upper half", 0, host_cr0 | bit(32), gp},
      {"paging off in 64-bit code", 0, x86::cr0::pe, gp},
      {"CR1", 1, 0, ud},
      {"CR3 with the C-bit", 3, pml4_at | bit(51), no_vector},
      {"CR3 bit 52", 3, pml4_at | bit(52), gp},
      {"CR3 bit 63 without PCIDE", 3, pml4_at | bit(63), gp},
      {"PAE off in long mode", 4, x86::cr4::pge, gp},
      {"LA57", 4, x86::cr4::pae | x86::cr4::la57, gp},
      {"VME", 4, x86::cr4::pae | x86::cr4::vme, gp},
      {"CET", 4, x86::cr4::pae | x86::cr4::cet, gp},
      {"PCIDE", 4, x86::cr4::pae | x86::cr4::pcide, no_vector},
      {"SMEP and SMAP", 4, x86::cr4::pae | x86::cr4::smep | x86::cr4::smap, no_vector},
      {"CR8 16", 8, 16, gp},
      {"CR8 15", 8, 15, no_vector},
  };
  for (const CrRow& row : rows) {
    Bench b;
    b.gpr(Gpr::rax) = row.value;
    b.run(SystemOp::mov_to_cr, {.r0 = row.cr, .r1 = 0});
    EXPECT_EQ(b.vector(), row.vector) << row.what;
  }
}

TEST(ControlRegisters, PcideNeedsPcidZeroAndAllowsNoFlushBit) {
  Bench b;
  b.state().cr3 = pml4_at | 5;
  b.gpr(Gpr::rax) = x86::cr4::pae | x86::cr4::pcide;
  b.run(SystemOp::mov_to_cr, {.r0 = 4, .r1 = 0});
  EXPECT_EQ(b.vector(), gp);
  Bench c;
  c.state().cr4 |= x86::cr4::pcide;
  c.gpr(Gpr::rax) = pml4_at | 7 | bit(63);
  c.run(SystemOp::mov_to_cr, {.r0 = 3, .r1 = 0});
  EXPECT_EQ(c.vector(), no_vector);
  EXPECT_EQ(c.state().cr3, pml4_at | 7);
}

TEST(ControlRegisters, LongModeActivation) {
  Bench b;
  b.become_protected();
  b.gpr(Gpr::rcx) = m::efer;
  b.gpr(Gpr::rax) = x86::efer::lme | x86::efer::nxe;
  b.run(SystemOp::wrmsr);
  EXPECT_EQ(b.vector(), no_vector);
  EXPECT_EQ(b.state().efer, x86::efer::lme | x86::efer::nxe);
  EXPECT_FALSE(b.state().long_mode());
  b.gpr(Gpr::rax) = host_cr0;
  b.run(SystemOp::mov_to_cr, {.r0 = 0, .r1 = 0});
  EXPECT_FALSE(b.state().long_mode());  // #GP: no PAE
  b.gpr(Gpr::rax) = host_cr0;
  b.become_protected();
  b.state().efer = x86::efer::lme | x86::efer::nxe;
  b.state().cr4 = x86::cr4::pae;
  b.run(SystemOp::mov_to_cr, {.r0 = 0, .r1 = 0});
  EXPECT_TRUE(b.state().long_mode());
  EXPECT_FALSE(b.state().code64());
  b.gpr(Gpr::rax) = x86::efer::nxe;  // LME may not change while paging
  b.gpr(Gpr::rcx) = m::efer;
  b.run(SystemOp::wrmsr);
  EXPECT_NE(b.state().efer & x86::efer::lme, 0u);
  b.become_compat(false);
  b.gpr(Gpr::rax) = x86::cr0::pe;
  b.run(SystemOp::mov_to_cr, {.r0 = 0, .r1 = 0});
  EXPECT_FALSE(b.state().long_mode());
}

TEST(ControlRegisters, UserMayNot) {
  for (SystemOp id :
       {SystemOp::mov_to_cr, SystemOp::mov_from_cr, SystemOp::mov_to_dr, SystemOp::clts,
        SystemOp::lmsw, SystemOp::lgdt, SystemOp::hlt, SystemOp::wbinvd, SystemOp::invd,
        SystemOp::invlpg, SystemOp::rdmsr, SystemOp::wrmsr, SystemOp::ltr, SystemOp::lldt,
        SystemOp::sysret, SystemOp::invpcid}) {
    Bench b;
    b.become_user();
    b.run(id, {.r0 = 0, .r1 = 0});
    EXPECT_EQ(b.vector(), gp) << static_cast<int>(id);
  }
}

TEST(ControlRegisters, XsetbvTakesX87AndSseOnly) {
  const std::pair<u64, int> rows[] = {{1, no_vector}, {3, no_vector}, {7, gp}, {2, gp}, {0, gp}};
  for (auto [value, vector] : rows) {
    Bench b;
    b.gpr(Gpr::rax) = value;
    b.run(SystemOp::xsetbv);
    EXPECT_EQ(b.vector(), vector) << value;
  }
  Bench b;
  b.state().cr4 &= ~x86::cr4::osxsave;
  b.run(SystemOp::xgetbv);
  EXPECT_EQ(b.vector(), ud);
}

TEST(DebugRegisters, FixedBitsAliasesAndGeneralDetect) {
  Bench b;
  b.gpr(Gpr::rax) = 0;
  b.run(SystemOp::mov_to_dr, {.r0 = 4, .r1 = 0});  // DR4 = DR6
  EXPECT_EQ(b.state().dr6, 0xFFFF0FF0u);
  b.gpr(Gpr::rax) = bit(13);
  b.run(SystemOp::mov_to_dr, {.r0 = 7, .r1 = 0});
  b.run(SystemOp::mov_from_dr, {.r0 = 0, .r1 = 7});
  EXPECT_EQ(b.vector(), db);
  EXPECT_NE(b.state().dr6 & bit(13), 0u);
  EXPECT_EQ(b.state().dr7, bit(10));
  b.gpr(Gpr::rax) = bit(32);
  b.run(SystemOp::mov_to_dr, {.r0 = 7, .r1 = 0});
  EXPECT_EQ(b.vector(), gp);
  b.state().cr4 |= x86::cr4::de;
  b.run(SystemOp::mov_from_dr, {.r0 = 0, .r1 = 5});
  EXPECT_EQ(b.vector(), ud);
}

TEST(DebugRegisters, TrapFlagTrapsBehindTheInstruction) {
  Bench b;
  b.state().set_rflags(f::tf);
  b.run(SystemOp::rdtsc, {.length = 2});
  EXPECT_EQ(b.vector(), db);
  EXPECT_EQ(b.recorder.deliveries.back().rip, rip_at + 2);
  EXPECT_NE(b.state().dr6 & bit(14), 0u);
  EXPECT_EQ(b.peek<u64>(b.gpr(Gpr::rsp) + 16) & f::tf, f::tf);
}

TEST(DebugRegisters, InstructionBreakpoints) {
  Bench b;
  u64 dr6 = 0;
  EXPECT_FALSE(b.system.stepping());
  b.state().dr[1] = rip_at;
  b.state().dr7 = 0x400 | bit(2);
  EXPECT_TRUE(b.system.stepping());
  EXPECT_TRUE(b.system.breakpoint_hit(dr6));
  EXPECT_EQ(dr6, bit(1));
  b.state().system_flags |= f::rf;
  EXPECT_FALSE(b.system.breakpoint_hit(dr6));
}

struct MsrRowTest {
  const char* what;
  u32 number;
  u64 value;
  bool ok;
};

TEST(Msr, HostWrites) {
  const MsrRowTest rows[] = {
      {"EFER", m::efer, x86::efer::sce | x86::efer::lme | x86::efer::nxe | x86::efer::svme, true},
      {"EFER reserved", m::efer, bit(21) | x86::efer::lme, false},
      {"EFER LMSLE", m::efer, x86::efer::lme | x86::efer::lmsle, false},
      {"LSTAR", m::lstar, 0xFFFFFFFF81000000, true},
      {"LSTAR not canonical", m::lstar, bit(50), false},
      {"KernelGSbase not canonical", m::kernel_gs_base, bit(63), false},
      {"PAT of Linux", m::pat, 0x0407050600070106, true},
      {"PAT type 2", m::pat, 2, false},
      {"PAT type 3", m::pat, u64{3} << 56, false},
      {"PAT type 8", m::pat, 8, false},
      {"XSS", m::xss, 1, false},
      {"XSS 0", m::xss, 0, true},
      {"HSAVE unaligned", m::vm_hsave_pa, 0x1001, false},
      {"HSAVE", m::vm_hsave_pa, 0x1000, true},
      {"HSAVE beyond", m::vm_hsave_pa, bit(52), false},
      {"VMPAGE_FLUSH ASID 0", m::vmpage_flush, 0x1000, false},
      {"VMPAGE_FLUSH", m::vmpage_flush, 0x1001, true},
      {"GHCB on the host", m::ghcb, 0x1000, false},
      {"SEV_STATUS", m::sev_status, 0, false},
      {"RMP_BASE unaligned", m::rmp_base, 0x1000, false},
      {"RMP_BASE", m::rmp_base, 0x100000, true},
      {"RMP_END", m::rmp_end, 0x1FFFFF, true},
      {"VIRTUAL_TOM", m::virtual_tom, 0, false},
      {"MTRR base", m::mtrr_phys_base0, 6, true},
      {"MTRRdefType reserved", m::mtrr_def_type, 0x10000, false},
      {"unknown", 0xC0011234, 0, false},
      {"PATCH_LEVEL", m::patch_level, 0, false},
  };
  for (const MsrRowTest& row : rows) {
    Bench b;
    EXPECT_EQ(b.system.write_msr(row.number, row.value), row.ok) << row.what;
  }
}

TEST(Msr, RefusedWriteChangesNothing) {
  Bench b;
  for (u32 number : {m::efer, m::lstar, m::pat, m::vm_hsave_pa, m::mtrr_def_type, m::fs_base,
                     m::mtrr_phys_base0, m::rmp_base, m::vm_cr, m::apic_base}) {
    u64 before = 0;
    u64 after = 0;
    ASSERT_TRUE(b.system.read_msr(number, before)) << number;
    EXPECT_FALSE(b.system.write_msr(number, 0x0003000300030203)) << number;
    ASSERT_TRUE(b.system.read_msr(number, after));
    EXPECT_EQ(before, after) << number;
  }
}

TEST(Msr, LinuxBootReadsAreThere) {
  Bench b;
  std::vector<u32> numbers = {0xFE,       0x250,      0x258,      0x259, 0x2FF, 0x277, 0x1B,
                              0xC0010010, 0xC0010015, 0xC001001F, 0x179, 0x17A, 0x8B};
  for (u32 n = 0x200; n <= 0x20F; ++n) {
    numbers.push_back(n);
  }
  for (u32 n = 0x268; n <= 0x26F; ++n) {
    numbers.push_back(n);
  }
  for (u32 n : numbers) {
    u64 value = 0;
    EXPECT_TRUE(b.system.read_msr(n, value)) << std::hex << n;
  }
}

// Hardware sheet 1.2.
TEST(Msr, SyscfgLocksWhenSnpIsOn) {
  Bench b;
  namespace s = m::syscfg_bits;
  ASSERT_TRUE(b.system.write_msr(m::syscfg, s::mem_encryption_mod_en));
  ASSERT_TRUE(b.system.write_msr(m::syscfg, 0));
  EXPECT_EQ(b.platform.shared.syscfg, s::mem_encryption_mod_en);  // write-1-only
  ASSERT_TRUE(b.system.write_msr(m::rmp_base, 0x1000000));
  ASSERT_TRUE(b.system.write_msr(m::rmp_end, 0x11FFFFF));
  ASSERT_TRUE(b.system.write_msr(m::syscfg, s::secure_nested_paging_en | s::vmpl_en));
  EXPECT_TRUE(b.rmp.enabled());
  const u64 locked = b.platform.shared.syscfg;
  ASSERT_TRUE(b.system.write_msr(m::syscfg, 0));  // silently ignored
  EXPECT_EQ(b.platform.shared.syscfg, locked);
  for (u32 number : {m::rmp_base, m::rmp_end, m::top_mem, m::top_mem2, m::mtrr_fix_64k}) {
    EXPECT_FALSE(b.system.write_msr(number, 0)) << std::hex << number;
  }
}

TEST(Msr, GuestOnlyAndHostOnly) {
  Bench b;
  u64 value = 1;
  ASSERT_TRUE(b.system.read_msr(m::sev_status, value));
  EXPECT_EQ(value, 0u);
  Controls& c = b.system.controls();
  c.guest = c.sev_es = c.snp = true;
  c.sev_features = 0x21;
  b.mmu.guest().sev = true;
  ASSERT_TRUE(b.system.read_msr(m::sev_status, value));
  EXPECT_EQ(value, 0x87u);
  EXPECT_TRUE(b.system.write_msr(m::ghcb, 0x1234000));
  EXPECT_EQ(c.ghcb, 0x1234000u);
  EXPECT_FALSE(b.system.read_msr(m::vm_hsave_pa, value));
  EXPECT_FALSE(b.system.read_msr(m::guest_tsc_freq, value));
  // SVME is not a SEV-ES guest's to change.
  b.state().efer |= x86::efer::svme;
  ASSERT_TRUE(b.system.write_msr(m::efer, x86::efer::lme | x86::efer::sce));
  EXPECT_NE(b.state().efer & x86::efer::svme, 0u);
}

TEST(Msr, PermissionMapBits) {
  u32 at = 0;
  EXPECT_TRUE(msr_map_bit(0x10, at));
  EXPECT_EQ(at, 0x20u);
  EXPECT_TRUE(msr_map_bit(0xC0000080, at));
  EXPECT_EQ(at, 0x800u * 8 + 0x100);
  EXPECT_TRUE(msr_map_bit(0xC0010130, at));
  EXPECT_EQ(at, 0x1000u * 8 + 0x260);
  EXPECT_FALSE(msr_map_bit(0x4B564D00, at));
  EXPECT_FALSE(msr_map_bit(0x2000, at));
}

TEST(Flags, PopfByPrivilege) {
  Bench b;
  b.become_user();
  b.state().set_rflags(f::if_);
  b.poke<u64>(user_stack_at - 8, f::iopl | f::cf | f::vif | f::vm | f::rf);
  b.gpr(Gpr::rsp) = user_stack_at - 8;
  b.run(SystemOp::popf, {.bits = 64, .length = 1});
  EXPECT_EQ(b.state().rflags(), f::if_ | f::cf | f::fixed1);
  b.run(SystemOp::cli);
  EXPECT_EQ(b.vector(), gp);
  Bench c;
  c.poke<u64>(stack_at - 8, f::iopl | f::ac);
  c.gpr(Gpr::rsp) = stack_at - 8;
  c.run(SystemOp::popf, {.bits = 64, .length = 1});
  EXPECT_EQ(c.state().rflags(), f::iopl | f::ac | f::fixed1);
  c.run(SystemOp::sti);
  EXPECT_TRUE(c.state().interrupt_shadow);
  c.run(SystemOp::rdtsc);
  EXPECT_FALSE(c.state().interrupt_shadow);
}

TEST(Io, PermissionMapOfTheTss) {
  Bench b;
  b.state().tr.limit = 0x68 + 0x20;
  b.poke<u8>(tss_at + 0x68 + 0x80 / 8 % 0x20, 0xFF);
  b.become_user();
  b.run(SystemOp::in, {.imm = 0x80, .bits = 8, .length = 2});
  EXPECT_EQ(b.vector(), gp);
  b.become_user();
  b.state().rip = rip_at;
  b.run(SystemOp::in, {.imm = 0x10, .bits = 8, .length = 2});
  EXPECT_EQ(b.vector(), no_vector);
  EXPECT_EQ(b.gpr(Gpr::rax), 0xFFu);
  b.run(SystemOp::in, {.imm = 0x7E, .bits = 32, .length = 2});  // crosses into 80h
  EXPECT_EQ(b.vector(), gp);
  b.become_user();
  b.gpr(Gpr::rdx) = 0x1000;
  b.run(SystemOp::in, {.r1 = 2, .bits = 8});  // beyond the limit
  EXPECT_EQ(b.vector(), gp);
}

TEST(Io, RepInsStopsNowAndThen) {
  Bench b;
  b.gpr(Gpr::rdi) = data_at;
  b.gpr(Gpr::rcx) = 300;
  b.gpr(Gpr::rdx) = 0x60;
  b.run(SystemOp::ins, {.bits = 8, .length = 2, .prefixes = prefix::rep});
  EXPECT_EQ(b.state().rip, rip_at);
  EXPECT_EQ(b.gpr(Gpr::rcx), 44u);
  b.run(SystemOp::ins, {.bits = 8, .length = 2, .prefixes = prefix::rep});
  EXPECT_EQ(b.state().rip, rip_at + 2);
  EXPECT_EQ(b.gpr(Gpr::rcx), 0u);
  EXPECT_EQ(b.gpr(Gpr::rdi), data_at + 300);
  EXPECT_EQ(b.peek<u8>(data_at + 299), 0xFF);
  EXPECT_EQ(b.peek<u8>(data_at + 300), 0);
}

TEST(Processor, InstructionsThatAreNotThere) {
  for (SystemOp id : {SystemOp::rdpru, SystemOp::mcommit, SystemOp::invlpgb, SystemOp::tlbsync,
                      SystemOp::monitorx, SystemOp::mwaitx, SystemOp::skinit, SystemOp::rsm,
                      SystemOp::serialize}) {
    Bench b;
    b.run(id);
    EXPECT_EQ(b.vector(), ud) << static_cast<int>(id);
  }
}

TEST(Processor, TimeStampsAndRandom) {
  Bench b;
  b.platform.now = 0x1234567890;
  b.run(SystemOp::rdtsc);
  EXPECT_EQ(b.gpr(Gpr::rdx), 0x12u);
  EXPECT_EQ(b.gpr(Gpr::rax), 0x34567890u);
  b.run(SystemOp::rdrand, {.r0 = 3, .bits = 64});
  EXPECT_EQ(b.gpr(Gpr::rbx), 0x1122334455667788u);
  EXPECT_EQ(b.state().flags.pack(), f::cf);
  b.become_user();
  b.state().cr4 |= x86::cr4::tsd;
  b.run(SystemOp::rdtsc);
  EXPECT_EQ(b.vector(), gp);
}

}  // namespace
}  // namespace softsnp::cpu::test
