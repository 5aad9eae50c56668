// Several vCPUs: launch, answers to the right one, ends that name it.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/vmm/fakes.hpp"
#include "vmm/guest_cpuid.hpp"
#include "vmm/vmm.hpp"

namespace softsnp::vmm::test {
namespace {

constexpr u64 ram_size = u64{1} << 20;

image::LaunchPlan plan_for(unsigned vcpus) {
  image::LaunchPlan plan;
  plan.mode = image::Mode::plain;
  plan.memory_size = ram_size;
  plan.ram = {{GuestPhysical(0), ram_size}};
  plan.vcpu_count = vcpus;
  plan.entry_state.rip = 0x2000;
  plan.ap_state.rip = 0xFFF0;
  return plan;
}

struct ManyVcpus : testing::Test {
  FakeKvm kvm;
  FakeVm& vm = kvm.vm;
  FakeConsole console;
  NoSignals signals;
  Config config;
  std::unique_ptr<Vmm> vmm;

  // Three vCPUs; the second exits as told.
  RunOutcome run(std::vector<kvm::KvmExit> exits) {
    auto launched = launch(kvm, config, plan_for(3), nullptr);
    EXPECT_TRUE(launched.ok());
    for (kvm::KvmExit& exit : exits) {
      vm.others[0]->script.push_back({std::move(exit), 1000});
    }
    vmm = std::make_unique<Vmm>(std::move(*launched),
                                std::vector<image::RamRange>{{GuestPhysical(0), ram_size}}, config);
    return vmm->run(console, signals);
  }
  static kvm::KvmExit power_off() { return kvm::IoExit{false, 1, 0x600, 1, {0x34}}; }
};

TEST_F(ManyVcpus, TheFirstStartsAndTheOthersWait) {
  run({power_off()});
  ASSERT_EQ(vm.others.size(), 2u);
  EXPECT_EQ(vm.vcpu.state().rip, 0x2000u);
  for (const auto& other : vm.others) {
    EXPECT_EQ(other->state().rip, 0xFFF0u);
    EXPECT_EQ(other->cpuid.size(), vm.vcpu.cpuid.size());
  }
}

TEST_F(ManyVcpus, TheOneThatAskedIsAnswered) {
  run({kvm::IoExit{true, 1, 0x3FD, 1, {}}, power_off()});
  EXPECT_EQ(vm.others[0]->io, (std::vector<std::vector<u8>>{{0x60}}));
  EXPECT_TRUE(vm.vcpu.io.empty());
  EXPECT_TRUE(vm.others[1]->io.empty());
}

TEST_F(ManyVcpus, AnEndNamesTheVcpu) {
  const RunOutcome end = run({kvm::ShutdownExit{}});
  EXPECT_EQ(end.kind, OutcomeKind::triple_fault);
  EXPECT_EQ(end.text.rfind("vCPU 1: the guest shut down", 0), 0u) << end.text;
}

TEST_F(ManyVcpus, AnEndOfTheWholeGuestNamesNone) {
  EXPECT_EQ(run({power_off()}).text, "the guest powered off");
}

TEST_F(ManyVcpus, NoProgressIsTheHypervisorsText) {
  EXPECT_EQ(run({kvm::NoProgressExit{"all wait"}}).text, "the guest makes no progress: all wait");
}

TEST_F(ManyVcpus, ATimeOutShowsThoseThatRun) {
  config.timeout = std::chrono::milliseconds(20);
  const RunOutcome end = run({});
  EXPECT_EQ(end.kind, OutcomeKind::timed_out);
  EXPECT_NE(end.text.find("2 of 3 vCPUs wait\n  vCPU 0: rip 0x2000"), std::string::npos)
      << end.text;
  EXPECT_EQ(end.text.find("vCPU 1:"), std::string::npos) << end.text;
}

TEST_F(ManyVcpus, AllThatSleepWaitForInputAndThenEnd) {
  vm.vcpu.is_halted = true;
  EXPECT_EQ(run({}).kind, OutcomeKind::no_progress);
  EXPECT_LT(vm.vcpu.runs, 10u);
}

kvm::CpuidEntry leaf(const std::vector<kvm::CpuidEntry>& entries, u32 number, u32 subleaf = 0) {
  const auto at = std::find_if(entries.begin(), entries.end(), [&](const kvm::CpuidEntry& entry) {
    return entry.leaf == number && entry.subleaf == subleaf;
  });
  EXPECT_NE(at, entries.end()) << number;
  return at == entries.end() ? kvm::CpuidEntry{} : *at;
}

// APM3 appendix E: 16 cores, one thread each, 8 to an L3.
TEST_F(ManyVcpus, CpuidDescribesOneSocketOfCores) {
  kvm.cpuid = {{1, 0, false, 0, 0x0800, 0, 0},        {0xB, 0, true, 0, 1, 0x100, 0},
               {0xB, 1, true, 0, 1, 0x201, 0},        {0x80000001, 0, false, 0, 0, 0, 0},
               {0x80000008, 0, false, 0, 0, 0, 0},    {0x8000001D, 0, true, 0x121, 0, 0, 0},
               {0x8000001D, 3, true, 0x163, 0, 0, 0}, {0x8000001E, 0, false, 0, 0xFFFF, 0x7FF, 0}};
  const auto entries = guest_cpuid(kvm, kvm::VmType::snp, 16);
  EXPECT_EQ(leaf(entries, 1).ebx, 0x00100800u);
  EXPECT_EQ(leaf(entries, 1).edx, 1u << 28);
  EXPECT_EQ(leaf(entries, 0xB, 0).ebx, 1u);
  EXPECT_EQ(leaf(entries, 0xB, 1).eax, 4u);
  EXPECT_EQ(leaf(entries, 0xB, 1).ebx, 16u);
  EXPECT_EQ(leaf(entries, 0x80000001).ecx, 2u);
  EXPECT_EQ(leaf(entries, 0x80000008).ecx, 0x400Fu);
  EXPECT_EQ(leaf(entries, 0x8000001D, 0).eax, 0x121u);
  EXPECT_EQ(leaf(entries, 0x8000001D, 3).eax, 0x163u | 7u << 14);
  EXPECT_EQ(leaf(entries, 0x8000001E).ebx, 0xFFu);
  const auto single = guest_cpuid(kvm, kvm::VmType::snp, 1);
  EXPECT_EQ(leaf(single, 1).edx, 0u);
  EXPECT_EQ(leaf(single, 0xB, 1).eax, 0u);
  EXPECT_EQ(leaf(single, 0x80000008).ecx, 0u);
}

}  // namespace
}  // namespace softsnp::vmm::test
