// Which intercept each instruction asks for, and what it becomes in an SEV-ES guest.
// Hardware sheet 7.1, 7.2, 8.3, 8.4.
#include <cstring>
#include <set>

#include "machine/cpu/system/intercepts.hpp"
#include "tests/machine/cpu/system/bench.hpp"

namespace softsnp::cpu::test {
namespace {

using svm::ExitCode;
using x86::Gpr;

TEST(ExitClasses, AutomaticExactlyAsTheTableSays) {
  std::set<u64> automatic = {0x52,  0x5D,  0x7F,    0x77,        0x78,        0xA5,       0xA6,
                             0x400, 0x403, ~u64{0}, ~u64{0} - 1, ~u64{0} - 2, ~u64{0} - 3};
  for (u64 n = 0x60; n <= 0x64; ++n) {
    automatic.insert(n);
  }
  for (u64 n = 0x8F; n <= 0x9F; ++n) {
    automatic.insert(n);
  }
  std::vector<u64> all;
  for (u64 n = 0; n <= 0x410; ++n) {
    all.push_back(n);
  }
  for (u64 n = 0; n < 6; ++n) {
    all.push_back(~n);
  }
  for (u64 n : all) {
    const bool is = exit_class(static_cast<ExitCode>(n), 0) != ExitClass::non_automatic;
    EXPECT_EQ(is, automatic.count(n) != 0) << std::hex << n;
  }
  EXPECT_EQ(exit_class(ExitCode::npf, bit(3)), ExitClass::non_automatic);
}

TEST(InterceptBits, NumberingMatchesTheNamedMasks) {
  const auto only = [](ExitCode code, auto set) {
    svm::Vmcb v{};
    EXPECT_FALSE(intercept_bit(v, code));
    set(v);
    EXPECT_TRUE(intercept_bit(v, code)) << svm::number(code);
  };
  only(ExitCode::intr, [](auto& v) { v.intercept_misc1 = svm::misc1::intr; });
  only(ExitCode::vintr, [](auto& v) { v.intercept_misc1 = svm::misc1::vintr; });
  only(ExitCode::cr0_selective, [](auto& v) { v.intercept_misc1 = svm::misc1::cr0_selective; });
  only(ExitCode::tr_write, [](auto& v) { v.intercept_misc1 = svm::misc1::tr_write; });
  only(ExitCode::hlt, [](auto& v) { v.intercept_misc1 = svm::misc1::hlt; });
  only(ExitCode::msr, [](auto& v) { v.intercept_misc1 = svm::misc1::msr; });
  only(ExitCode::shutdown, [](auto& v) { v.intercept_misc1 = svm::misc1::shutdown; });
  only(ExitCode::vmrun, [](auto& v) { v.intercept_misc2 = svm::misc2::vmrun; });
  only(ExitCode::vmmcall, [](auto& v) { v.intercept_misc2 = svm::misc2::vmmcall; });
  only(ExitCode::xsetbv, [](auto& v) { v.intercept_misc2 = svm::misc2::xsetbv; });
  only(ExitCode::efer_write_trap, [](auto& v) { v.intercept_misc2 = svm::misc2::efer_write_trap; });
  only(ExitCode::cr0_write_trap,
       [](auto& v) { v.intercept_misc2 = 1u << svm::misc2::cr_write_trap_shift; });
  only(ExitCode::invpcid, [](auto& v) { v.intercept_misc3 = svm::misc3::invpcid; });
  only(ExitCode::cr0_write, [](auto& v) { v.intercept_cr_write = 1; });
  only(ExitCode::dr7_write, [](auto& v) { v.intercept_dr_write = 0x80; });
  only(ExitCode::exception_ac, [](auto& v) { v.intercept_exceptions = 1u << 17; });
}

struct Row {
  SystemOp id;
  ExitCode code;
  Bench::Form form;
};

const Row rows[] = {
    {SystemOp::mov_from_cr, ExitCode::cr0_read, {.r0 = 0, .r1 = 0}},
    {SystemOp::mov_to_cr, static_cast<ExitCode>(0x13), {.r0 = 3, .r1 = 0}},
    {SystemOp::mov_from_dr, ExitCode::dr7_read, {.r0 = 0, .r1 = 7}},
    {SystemOp::mov_to_dr, ExitCode::dr7_write, {.r0 = 7, .r1 = 0}},
    {SystemOp::lidt, ExitCode::idtr_write, {.memory = true, .address = data_at}},
    {SystemOp::lgdt, ExitCode::gdtr_write, {.memory = true, .address = data_at}},
    {SystemOp::sidt, ExitCode::idtr_read, {.memory = true, .address = data_at}},
    {SystemOp::sgdt, ExitCode::gdtr_read, {.memory = true, .address = data_at}},
    {SystemOp::lldt, ExitCode::ldtr_write, {.r0 = 0}},
    {SystemOp::ltr, ExitCode::tr_write, {.r0 = 0}},
    {SystemOp::sldt, ExitCode::ldtr_read, {.r0 = 0}},
    {SystemOp::str, ExitCode::tr_read, {.r0 = 0}},
    {SystemOp::rdtsc, ExitCode::rdtsc, {}},
    {SystemOp::rdtscp, ExitCode::rdtscp, {}},
    {SystemOp::rdpmc, ExitCode::rdpmc, {}},
    {SystemOp::pushf, ExitCode::pushf, {}},
    {SystemOp::popf, ExitCode::popf, {}},
    {SystemOp::cpuid, ExitCode::cpuid, {}},
    {SystemOp::iret, ExitCode::iret, {}},
    {SystemOp::int_n, ExitCode::intn, {.imm = 0x80}},
    {SystemOp::int1, ExitCode::icebp, {}},
    {SystemOp::invd, ExitCode::invd, {}},
    {SystemOp::wbinvd, ExitCode::wbinvd, {}},
    {SystemOp::wbnoinvd, ExitCode::wbinvd, {}},
    {SystemOp::pause, ExitCode::pause, {}},
    {SystemOp::hlt, ExitCode::hlt, {}},
    {SystemOp::invlpg, ExitCode::invlpg, {.memory = true, .address = data_at}},
    {SystemOp::invlpga, ExitCode::invlpga, {}},
    {SystemOp::invpcid, ExitCode::invpcid, {.r0 = 0, .memory = true, .address = data_at}},
    {SystemOp::monitor, ExitCode::monitor, {}},
    {SystemOp::mwait, ExitCode::mwait, {}},
    {SystemOp::xsetbv, ExitCode::xsetbv, {}},
    {SystemOp::vmmcall, ExitCode::vmmcall, {}},
    {SystemOp::vmrun, ExitCode::vmrun, {}},
    {SystemOp::vmload, ExitCode::vmload, {}},
    {SystemOp::vmsave, ExitCode::vmsave, {}},
    {SystemOp::stgi, ExitCode::stgi, {}},
    {SystemOp::clgi, ExitCode::clgi, {}},
};

void set_intercept(Bench& b, ExitCode code) {
  u8* raw = b.system.controls().vmcb.raw;
  raw[svm::number(code) / 8] |= static_cast<u8>(1u << (svm::number(code) % 8));
}

Bench& guest(Bench& b, bool sev_es) {
  b.system.controls().guest = true;
  b.system.controls().sev_es = sev_es;
  b.state().efer |= x86::efer::svme;
  return b;
}

TEST(Intercepts, PlainGuestExits) {
  for (const Row& row : rows) {
    Bench b;
    guest(b, false);
    set_intercept(b, row.code);
    ASSERT_EQ(b.run(row.id, row.form), Outcome::vmexit) << std::hex << svm::number(row.code);
    EXPECT_EQ(b.system.exit().code, row.code);
    EXPECT_EQ(b.state().rip, rip_at);
    EXPECT_EQ(b.system.exit().nrip, rip_at + 3);
  }
}

TEST(Intercepts, SevEsGuestExitsOrGetsVc) {
  for (const Row& row : rows) {
    Bench b;
    guest(b, true);
    set_intercept(b, row.code);
    const Outcome outcome = b.run(row.id, row.form);
    if (exit_class(row.code, 0) == ExitClass::non_automatic) {
      ASSERT_EQ(outcome, Outcome::done) << std::hex << svm::number(row.code);
      EXPECT_EQ(b.vector(), vc) << std::hex << svm::number(row.code);
      EXPECT_EQ(b.error(), svm::number(row.code));
      EXPECT_EQ(b.recorder.deliveries.back().rip, rip_at);
    } else {
      ASSERT_EQ(outcome, Outcome::vmexit);
      EXPECT_EQ(b.system.exit().code, row.code);
      EXPECT_EQ(b.state().rip, rip_at + 3);
    }
  }
}

TEST(Intercepts, PrivilegeComesFirst) {
  for (SystemOp id : {SystemOp::hlt, SystemOp::rdmsr, SystemOp::wbinvd, SystemOp::mov_to_cr,
                      SystemOp::invlpg, SystemOp::lgdt}) {
    Bench b;
    guest(b, false);
    std::memset(b.system.controls().vmcb.raw, 0xFF, 0x18);
    b.system.controls().vmcb.intercept_exceptions = 0;
    b.become_user();
    ASSERT_EQ(b.run(id, {.r0 = 0, .r1 = 0}), Outcome::done);
    EXPECT_EQ(b.vector(), gp);
  }
}

TEST(Intercepts, CpuidAndPortsAlwaysForSevEs) {
  Bench b;
  guest(b, true);
  b.run(SystemOp::cpuid);
  EXPECT_EQ(b.error(), 0x72u);
  b.run(SystemOp::out, {.imm = 0x80, .bits = 8, .length = 2});
  EXPECT_EQ(b.vector(), vc);
  EXPECT_EQ(b.error(), 0x7Bu);
}

TEST(Intercepts, PortMapAndExitInformation) {
  Bench b;
  guest(b, false);
  set_intercept(b, ExitCode::ioio);
  b.system.controls().vmcb.iopm_base = 0x100000;
  b.poke<u8>(0x100000 + 0x3FB / 8, 1u << (0x3FB % 8));
  EXPECT_EQ(b.run(SystemOp::in, {.imm = 0x60, .bits = 8}), Outcome::done);
  b.gpr(Gpr::rdx) = 0x3F8;
  ASSERT_EQ(b.run(SystemOp::in, {.r1 = 2, .bits = 32, .length = 1}), Outcome::vmexit);  // last byte
  EXPECT_EQ(b.system.exit().info1, (0x3F8u << 16) | 1 | 0x40 | 0x200);
  EXPECT_EQ(b.system.exit().info2, b.state().rip + 1);
  ASSERT_EQ(b.run(SystemOp::outs, {.bits = 32, .prefixes = prefix::rep, .seg = 4}),
            Outcome::vmexit);
  EXPECT_EQ(b.system.exit().info1, (0x3F8u << 16) | 4 | 8 | 0x40 | 0x200 | (4u << 10));
}

TEST(Intercepts, MsrMap) {
  Bench b;
  guest(b, false);
  set_intercept(b, ExitCode::msr);
  b.system.controls().vmcb.msrpm_base = 0x100000;
  // EFER write only.
  b.poke<u8>(0x100000 + 0x800 + 0x80 / 4, 2);
  b.gpr(Gpr::rcx) = x86::msr::efer;
  EXPECT_EQ(b.run(SystemOp::rdmsr), Outcome::done);
  b.gpr(Gpr::rcx) = x86::msr::efer;
  ASSERT_EQ(b.run(SystemOp::wrmsr), Outcome::vmexit);
  EXPECT_EQ(b.system.exit().info1, 1u);
  b.gpr(Gpr::rcx) = 0x4B564D00;  // outside the map
  EXPECT_EQ(b.run(SystemOp::rdmsr), Outcome::vmexit);
  b.gpr(Gpr::rcx) = x86::msr::sev_status;
  std::vector<u8> all(0x2000, 0xFF);
  b.dram.write(SystemPhysical(0x100000), memory::KeyId::none, all);
  EXPECT_EQ(b.run(SystemOp::rdmsr), Outcome::done);  // cannot be intercepted
}

TEST(Intercepts, WriteTrapsComeAfterTheWrite) {
  Bench b;
  guest(b, true);
  b.system.controls().vmcb.intercept_misc2 = (1u << 20) | svm::misc2::efer_write_trap;
  const u64 cr4 = b.state().cr4 | x86::cr4::smep;
  b.gpr(Gpr::rax) = cr4;
  ASSERT_EQ(b.run(SystemOp::mov_to_cr, {.r0 = 4, .r1 = 0}), Outcome::vmexit);
  EXPECT_EQ(svm::number(b.system.exit().code), 0x94u);
  EXPECT_EQ(b.system.exit().info1, cr4);
  EXPECT_EQ(b.state().cr4, cr4);
  EXPECT_EQ(b.state().rip, rip_at + 3);
}

TEST(Intercepts, ExceptionsOfPlainAndSevEsGuests) {
  Bench b;
  guest(b, false);
  b.system.controls().vmcb.intercept_exceptions = 1u << 14;
  Fault fault;
  fault.kind = FaultKind::exception;
  fault.vector = 14;
  fault.has_error = true;
  fault.error_code = 6;
  fault.address = 0xABC000;
  OpInfo info{};
  info.length = 4;
  info.bytes[0] = 0x48;
  ASSERT_EQ(b.system.deliver(fault, &info), Outcome::vmexit);
  EXPECT_EQ(svm::number(b.system.exit().code), 0x4Eu);
  EXPECT_EQ(b.system.exit().info1, 6u);
  EXPECT_EQ(b.system.exit().info2, 0xABC000u);
  EXPECT_EQ(b.system.exit().byte_count, 4);
  EXPECT_EQ(b.state().cr2, 0u);

  Bench c;
  guest(c, true);
  c.system.controls().vmcb.intercept_exceptions = bit(1) | bit(17);
  fault = {};
  fault.kind = FaultKind::exception;
  fault.vector = 17;
  fault.has_error = true;
  ASSERT_EQ(c.system.deliver(fault), Outcome::done);
  EXPECT_EQ(c.vector(), vc);
  EXPECT_EQ(c.error(), 0x51u);
}

TEST(Intercepts, NestedFaultsAndMmio) {
  Fault fault;
  fault.kind = FaultKind::nested;
  fault.address = 0xFEE00020;
  fault.error_code = 0x100000006;
  Bench b;
  guest(b, true);
  ASSERT_EQ(b.system.deliver(fault), Outcome::vmexit);
  EXPECT_EQ(b.system.exit().code, ExitCode::npf);
  EXPECT_EQ(b.system.exit().info2, 0xFEE00020u);
  fault.error_code |= 8;  // RSV: MMIO
  ASSERT_EQ(b.system.deliver(fault), Outcome::done);
  EXPECT_EQ(b.vector(), vc);
  EXPECT_EQ(b.error(), 0x400u);
  Bench c;
  guest(c, false);
  ASSERT_EQ(c.system.deliver(fault), Outcome::vmexit);
  fault = {};
  fault.kind = FaultKind::not_validated;
  fault.address = 0x7777000;
  ASSERT_EQ(b.system.deliver(fault), Outcome::done);
  EXPECT_EQ(b.error(), 0x404u);
  EXPECT_EQ(b.state().cr2, 0x7777000u);
}

TEST(Intercepts, ReflectVcBecomesAnExit) {
  Bench b;
  guest(b, true);
  b.system.controls().sev_features = snp::feature::reflect_vc;
  ASSERT_EQ(b.run(SystemOp::cpuid), Outcome::vmexit);
  EXPECT_EQ(svm::number(b.system.exit().code), 0x5Du);
  EXPECT_TRUE(b.system.exit().reflected);
  EXPECT_EQ(b.system.exit().original_code, 0x72u);
}

TEST(Intercepts, ExitDuringDeliveryCarriesTheEvent) {
  Bench b;
  guest(b, false);
  b.system.controls().vmcb.intercept_exceptions = 1u << 11;
  b.gate(0x21, code64_sel, handler_at, 0x0E);
  Event event;
  event.kind = EventKind::interrupt;
  event.vector = 0x21;
  ASSERT_EQ(b.system.inject(event), Outcome::vmexit);
  EXPECT_EQ(svm::number(b.system.exit().code), 0x4Bu);
  EXPECT_EQ(b.system.exit().intinfo, svm::event::make(0x21, svm::event::Type::interrupt));
}

TEST(Intercepts, VmgexitOnlyInSevEsGuests) {
  Bench b;
  guest(b, true);
  ASSERT_EQ(b.run(SystemOp::vmgexit, {.length = 4}), Outcome::vmexit);
  EXPECT_EQ(b.system.exit().code, ExitCode::vmgexit);
  EXPECT_EQ(b.state().rip, rip_at + 4);
  Bench c;
  guest(c, false);
  c.run(SystemOp::vmgexit, {.length = 4});
  EXPECT_EQ(c.vector(), ud);  // as VMMCALL, not intercepted
  set_intercept(c, ExitCode::vmmcall);
  ASSERT_EQ(c.run(SystemOp::vmgexit, {.length = 4}), Outcome::vmexit);
  EXPECT_EQ(c.system.exit().code, ExitCode::vmmcall);
}

TEST(Intercepts, PauseFilterCountsDownToZero) {
  Bench b;
  guest(b, true);
  set_intercept(b, ExitCode::pause);
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::vmexit) << "no count: every PAUSE";
  b.system.controls().vmcb.pause_filter_count = 3;
  b.system.controls().pauses_left = 3;  // as VMRUN loads it
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::done);
  b.platform.now += 1000000;
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::done) << "time does not count";
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::vmexit);
}

TEST(Intercepts, PauseFilterThresholdForgets) {
  Bench b;
  guest(b, true);
  set_intercept(b, ExitCode::pause);
  b.system.controls().vmcb.pause_filter_count = 2;
  b.system.controls().vmcb.pause_filter_threshold = 100;
  b.system.controls().pauses_left = 2;
  b.system.controls().last_pause = b.platform.now;
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::done);
  b.platform.now += 101;
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::done) << "late: starts again and is not counted";
  b.platform.now += 100;
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::done);
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::done) << "the count is zero";
  EXPECT_EQ(b.run(SystemOp::pause), Outcome::vmexit) << "below zero";
}

}  // namespace
}  // namespace softsnp::cpu::test
