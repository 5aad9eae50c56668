#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

#include "tests/vmm/fakes.hpp"
#include "vmm/vmm.hpp"

namespace softsnp::vmm::test {
namespace {

constexpr u64 ram_size = u64{16} << 20;

struct RunLoop : testing::Test {
  FakeKvm kvm;
  FakeVcpu& vcpu = kvm.vm.vcpu;
  FakeConsole console;
  NoSignals signals;
  Config config;

  static kvm::IoExit out(u16 port, std::vector<u8> bytes, u8 size = 1) {
    const u32 count = static_cast<u32>(bytes.size() / size);
    return {false, size, port, count, std::move(bytes)};
  }
  static kvm::IoExit in(u16 port, u8 size = 1, u32 count = 1) {
    return {true, size, port, count, {}};
  }
  static kvm::MmioExit mmio_write(u64 at, u32 value) {
    kvm::MmioExit exit{GuestPhysical(at), true, 4, {}};
    for (unsigned i = 0; i < 4; ++i) {
      exit.data[i] = static_cast<u8>(value >> (8 * i));
    }
    return exit;
  }
  void then(kvm::KvmExit exit, u64 ticks = 1000) {
    vcpu.script.push_back({std::move(exit), ticks});
  }
  void then_power_off() { then(out(0x600, {0x34})); }

  RunOutcome run() {
    LaunchedVm launched{std::move(*kvm.create_vm({})), {&vcpu}, {}};
    vmm = std::make_unique<Vmm>(std::move(launched),
                                std::vector<image::RamRange>{{GuestPhysical(0), ram_size}}, config);
    return vmm->run(console, signals);
  }
  std::unique_ptr<Vmm> vmm;  // owns the VM, whose records are looked at afterwards
};

TEST_F(RunLoop, PowerOffAndResetAreSuccess) {
  then_power_off();
  RunOutcome end = run();
  EXPECT_EQ(end.kind, OutcomeKind::powered_off);
  EXPECT_EQ(end.status, 0);
}

TEST_F(RunLoop, EachWayToReset) {
  const std::vector<std::vector<kvm::IoExit>> ways = {{out(0x602, {0x42})},
                                                      {out(0x64, {0xFE})},
                                                      {out(0xCF9, {2}), out(0xCF9, {6})},
                                                      {out(0x92, {1})}};
  for (const auto& way : ways) {
    FakeKvm fresh;
    for (const auto& exit : way) {
      fresh.vm.vcpu.script.push_back({exit, 10});
    }
    FakeVcpu& cpu = fresh.vm.vcpu;
    Vmm vmm({std::move(*fresh.create_vm({})), {&cpu}, {}}, {{GuestPhysical(0), ram_size}}, config);
    const RunOutcome end = vmm.run(console, signals);
    EXPECT_EQ(end.kind, OutcomeKind::reset) << way.front().port;
    EXPECT_EQ(end.status, 0);
  }
}

TEST_F(RunLoop, DebugExitGivesQemusStatus) {
  then(out(0xF4, {0x10, 0, 0, 0}, 4));
  EXPECT_EQ(run().status, 0x21);
}

TEST_F(RunLoop, DebugExitCanBeAbsent) {
  config.debug_exit_port = 0;
  then(out(0xF4, {0x10}));
  then_power_off();
  EXPECT_EQ(run().kind, OutcomeKind::powered_off);
}

TEST_F(RunLoop, SerialOutputReachesTheConsoleInOrder) {
  for (const char c : std::string("hello")) {
    then(out(0x3F8, {static_cast<u8>(c)}));
  }
  then(out(0x3F8, {' ', 'a', 'l', 'l'}));  // REP OUTSB
  then_power_off();
  run();
  EXPECT_EQ(console.output, "hello all");
}

TEST_F(RunLoop, PortReadsAreAnswered) {
  then(in(0x3FD));
  then(in(0x2F9));
  then(in(0xCFC, 4));
  then(in(0x3FD, 1, 3));
  then_power_off();
  run();
  const std::vector<std::vector<u8>> expected = {
      {0x60}, {0xFF}, {0xFF, 0xFF, 0xFF, 0xFF}, {0x60, 0x60, 0x60}};
  EXPECT_EQ(vcpu.io, expected);
}

TEST_F(RunLoop, MalformedIoExitIsOurFault) {
  then(kvm::IoExit{false, 3, 0x3F8, 1, {1, 2, 3}});
  EXPECT_EQ(run().status, 1);
}

TEST_F(RunLoop, CertificatesGoWhereTheGuestHasRoomForThem) {
  config.certificates = std::vector<u8>(5000, 0x5A);
  then(kvm::CertificatesExit{GuestPhysical(0x10000), 0});
  then(kvm::CertificatesExit{GuestPhysical(0x10000), 1});
  then(kvm::CertificatesExit{GuestPhysical(0x10000), 2});
  then(kvm::CertificatesExit{GuestPhysical(0x20000), ~u64{0}});
  then_power_off();
  run();
  const std::vector<std::pair<u64, u64>> expected = {{ENOSPC, 2}, {ENOSPC, 2}, {0, 2}, {0, 2}};
  EXPECT_EQ(vcpu.certificates, expected);
  EXPECT_EQ(kvm.vm.written.size(), 2u);
  EXPECT_EQ(kvm.vm.written[0x10000], config.certificates);
}

TEST_F(RunLoop, CertificatesThatCannotBeWrittenAreAnErrorOfTheGuests) {
  config.certificates = {1, 2, 3};
  kvm.vm.write_error = EFAULT;
  then(kvm::CertificatesExit{GuestPhysical(0x10000), 1});
  then_power_off();
  run();
  ASSERT_EQ(vcpu.certificates.size(), 1u);
  EXPECT_EQ(vcpu.certificates[0].first, u64{EIO});
}

TEST_F(RunLoop, IoapicBehindMmioDeliversTheSerialInterrupt) {
  then(mmio_write(0xFEC00000, 0x18));  // redirection entry 4, low half
  then(mmio_write(0xFEC00010, 0x31));
  then(out(0x3FC, {8}));  // OUT2
  then(out(0x3F9, {2}));  // THRI with an empty transmitter
  then(kvm::MmioExit{GuestPhysical(0xFEC00010), false, 4, {}});
  then(kvm::MmioExit{GuestPhysical(0xFED00000), false, 8, {}});
  then_power_off();
  run();
  ASSERT_EQ(kvm.world.messages.size(), 1u);
  EXPECT_EQ(kvm.world.messages[0].second, 0x31u);
  ASSERT_EQ(vcpu.mmio.size(), 2u);
  EXPECT_EQ(vcpu.mmio[0], (std::vector<u8>{0x31, 0, 0, 0}));
  EXPECT_EQ(vcpu.mmio[1], std::vector<u8>(8, 0xFF));
}

TEST_F(RunLoop, LevelVectorsAreAnnouncedAndTheirEoiComesBack) {
  then(mmio_write(0xFEC00000, 0x18));
  then(mmio_write(0xFEC00010, 0x31 | 1 << 15));
  then(out(0x3FC, {8}));
  then(out(0x3F9, {2}));
  then(kvm::IoapicEoiExit{0x31});  // line still high: a second message
  then_power_off();
  run();
  EXPECT_EQ(kvm.world.level_vectors, std::vector<u8>{0x31});
  EXPECT_EQ(kvm.world.messages.size(), 2u);
}

TEST_F(RunLoop, TimerInterruptThroughThe8259) {
  for (const auto& [port, value] : std::vector<std::pair<u16, u8>>{{0x20, 0x11},
                                                                   {0x21, 0x30},
                                                                   {0x21, 4},
                                                                   {0x21, 1},
                                                                   {0x21, 0xFE},
                                                                   {0x43, 0x34},
                                                                   {0x40, 0xA4},
                                                                   {0x40, 0x12}}) {  // 250 Hz
    then(out(port, {value}));
  }
  then(kvm::InterruptedExit{}, 4'100'000);
  then(kvm::InterruptedExit{}, 10);
  then_power_off();
  run();
  EXPECT_TRUE(vcpu.extints.empty());
  EXPECT_TRUE(vcpu.window_wanted) << "not ready yet: a window is asked for";
}

TEST_F(RunLoop, ReadyVcpuGetsTheVectorOnce) {
  vcpu.extint_ready = true;
  for (const auto& [port, value] : std::vector<std::pair<u16, u8>>{{0x20, 0x11},
                                                                   {0x21, 0x30},
                                                                   {0x21, 4},
                                                                   {0x21, 1},
                                                                   {0x21, 0xFE},
                                                                   {0x43, 0x34},
                                                                   {0x40, 0xA4},
                                                                   {0x40, 0x12}}) {
    then(out(port, {value}));
  }
  then(kvm::InterruptedExit{}, 4'100'000);
  then(kvm::InterruptedExit{}, 10);
  then(kvm::InterruptedExit{}, 10);
  then_power_off();
  run();
  EXPECT_EQ(vcpu.extints, std::vector<u8>{0x30});
}

TEST_F(RunLoop, DeviceEventsBoundTheRun) {
  then(out(0x43, {0x34}));
  then(out(0x40, {0xA4}));
  then(out(0x40, {0x12}));
  then(kvm::InterruptedExit{}, 1);
  then_power_off();
  run();
  const u64 period = u64{4772} * 1'000'000'000 / 1193182;
  EXPECT_NEAR(static_cast<double>(kvm.world.next_device_event),
              5000.0 + 3000 + static_cast<double>(period), 1000);
}

TEST_F(RunLoop, ConversionsAreValidatedAndAnswered) {
  const auto map = [](u64 gpa, u64 pages, u64 flags, u64 nr = 12) {
    return kvm::HypercallExit{nr, {gpa, pages, flags}};
  };
  then(map(0x3000, 1, 0x10));
  then(map(0x200000, 512, 0x01));
  then(map(0x3001, 1, 0x10));             // unaligned
  then(map(0x3000, 0, 0x10));             // empty
  then(map(ram_size - 0x1000, 2, 0x10));  // beyond RAM, private
  then(map(ram_size - 0x1000, 2, 0x00));  // beyond RAM, shared: the RAM part
  then(map(0xFEC00000, 1, 0x00));         // MMIO, shared: nothing to do
  then(map(~u64{0xFFF}, 2, 0x10));        // wraps
  then(map(0, ~u64{0}, 0x00));            // overflows
  then(map(0x3000, 1, 0x20));             // reserved flag
  then(map(0x3000, 1, 0x13));             // unknown size
  then(map(0x3000, 1, 0x10, 11));         // another hypercall
  then_power_off();
  run();
  EXPECT_EQ(vcpu.hypercalls, (std::vector<u64>{0, 0, EINVAL, EINVAL, EINVAL, 0, 0, EINVAL, EINVAL,
                                               EINVAL, EINVAL, ENOSYS}));
  EXPECT_EQ(kvm.vm.conversions,
            (std::vector<FakeVm::Conversion>{{0x3000, 0x1000, true},
                                             {0x200000, 0x200000, false},
                                             {ram_size - 0x1000, 0x1000, false}}));
}

TEST_F(RunLoop, MemoryFaultConvertsAndRetries) {
  then(kvm::MemoryFaultExit{GuestPhysical(0x5678), 0x1000, false});
  then_power_off();
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(kvm.vm.conversions, (std::vector<FakeVm::Conversion>{{0x5000, 0x2000, false}}));
}

TEST_F(RunLoop, MemoryFaultLoopIsNamed) {
  for (unsigned i = 0; i < 1000; ++i) {
    then(kvm::MemoryFaultExit{GuestPhysical(0x5000), 0x1000, i % 2 == 0}, 1);
  }
  const RunOutcome end = run();
  EXPECT_EQ(end.kind, OutcomeKind::no_progress);
  EXPECT_NE(end.text.find("0x5000"), std::string::npos);
  EXPECT_LT(vcpu.runs, 100u);
}

TEST_F(RunLoop, SlowAlternationIsNoLoop) {
  for (unsigned i = 0; i < 1000; ++i) {
    then(kvm::MemoryFaultExit{GuestPhysical(0x5000), 0x1000, i % 2 == 0}, 100'000);
  }
  then_power_off();
  EXPECT_EQ(run().kind, OutcomeKind::powered_off);
}

TEST_F(RunLoop, PrivateAccessOutsideRamEndsTheRun) {
  then(kvm::MemoryFaultExit{GuestPhysical(0xFEC00000), 0x1000, true});
  EXPECT_EQ(run().kind, OutcomeKind::no_progress);
}

TEST_F(RunLoop, TerminationIsNamed) {
  then(kvm::TerminationExit{1, 2, 0});
  const RunOutcome end = run();
  EXPECT_EQ(end.status, 3);
  EXPECT_NE(end.text.find("PVALIDATE"), std::string::npos);
}

TEST_F(RunLoop, FatalExitsHaveTheirStatus) {
  const std::vector<std::pair<kvm::KvmExit, int>> ends = {
      {kvm::ShutdownExit{}, 4},
      {kvm::FailEntryExit{~u64{0}, "bad CR0"}, 4},
      {kvm::NoProgressExit{"HLT with interrupts off"}, 5},
      {kvm::InternalErrorExit{EINVAL, "no handler"}, 1}};
  for (const auto& [exit, status] : ends) {
    FakeKvm fresh;
    FakeVcpu& cpu = fresh.vm.vcpu;
    cpu.script.push_back({exit, 10});
    Vmm vmm({std::move(*fresh.create_vm({})), {&cpu}, {}}, {{GuestPhysical(0), ram_size}}, config);
    EXPECT_EQ(vmm.run(console, signals).status, status);
  }
}

TEST_F(RunLoop, HaltedForGoodIsNamed) {
  vcpu.is_halted = true;
  const RunOutcome end = run();
  EXPECT_EQ(end.kind, OutcomeKind::no_progress);
  EXPECT_LT(vcpu.runs, 10u);
}

TEST_F(RunLoop, ExitsWithoutTimeAreNoticed) {
  struct Frozen {
    static kvm::KvmExit exit() { return kvm::MmioExit{GuestPhysical(0xFED00000), false, 4, {}}; }
  };
  for (unsigned i = 0; i < 1'000'001; ++i) {
    vcpu.script.push_back({Frozen::exit(), 0});
  }
  EXPECT_EQ(run().kind, OutcomeKind::internal_fault);
}

TEST_F(RunLoop, TimeOutEndsABusyGuest) {
  config.timeout = std::chrono::milliseconds(20);
  const RunOutcome end = run();  // no script: runs for ever
  EXPECT_EQ(end.kind, OutcomeKind::timed_out);
  EXPECT_EQ(end.status, 5);
}

TEST_F(RunLoop, SignalsEndTheRunWithTheShellsStatus) {
  signals.number = SIGTERM;
  EXPECT_EQ(run().status, 143);
}

TEST_F(RunLoop, CtrlAXLeaves) {
  console.is_interactive = true;
  console.inputs.push_back({{}, true});
  const RunOutcome end = run();
  EXPECT_EQ(end.kind, OutcomeKind::quit);
  EXPECT_EQ(end.status, 0);
}

TEST_F(RunLoop, PipedInputWaitsForTheDriver) {
  config.slice_ticks = 10'000;
  console.inputs.push_back({{'l', 's', '\n'}, false});
  for (unsigned i = 0; i < 30; ++i) {
    then(kvm::InterruptedExit{});
  }
  then(in(0x3FD));
  then(out(0x3F9, {1}));
  for (unsigned i = 0; i < 30; ++i) {
    then(kvm::InterruptedExit{});
  }
  then(in(0x3FD));
  then(in(0x3F8));
  then_power_off();
  run();
  ASSERT_EQ(vcpu.io.size(), 3u);
  EXPECT_EQ(vcpu.io[0], std::vector<u8>{0x60}) << "nothing before the driver listens";
  EXPECT_EQ(vcpu.io[1], std::vector<u8>{0x61});
  EXPECT_EQ(vcpu.io[2], std::vector<u8>{'l'});
}

TEST_F(RunLoop, IdenticalScriptsGiveIdenticalTimes) {
  u64 first = 0;
  for (unsigned round = 0; round < 2; ++round) {
    FakeKvm fresh;
    FakeVcpu& cpu = fresh.vm.vcpu;
    for (unsigned i = 0; i < 500; ++i) {
      cpu.script.push_back({in(0x61), 777});
    }
    cpu.script.push_back({out(0x600, {0x34}), 1});
    FakeWorld& world = fresh.world;
    Vmm vmm({std::move(*fresh.create_vm({})), {&cpu}, {}}, {{GuestPhysical(0), ram_size}}, config);
    vmm.run(console, signals);
    EXPECT_TRUE(first == 0 || first == world.now);
    first = world.now;
  }
}

}  // namespace
}  // namespace softsnp::vmm::test
