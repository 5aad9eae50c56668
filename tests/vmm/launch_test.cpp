#include "vmm/launch.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "arch/psp/cpuid_page.hpp"
#include "base/bytes.hpp"
#include "tests/vmm/fakes.hpp"
#include "vmm/cpuid_table.hpp"

namespace softsnp::vmm::test {
namespace {

std::vector<u8> page_bytes(const psp::CpuidPage& page) {
  std::vector<u8> bytes(sizeof page);
  store_le(bytes.data(), page);
  return bytes;
}

image::LaunchPlan small_plan(image::Mode mode) {
  image::LaunchPlan plan;
  plan.mode = mode;
  plan.memory_size = 0x400000;
  plan.ram = {{GuestPhysical(0), 0xA0000}, {GuestPhysical(0xC0000), 0x340000}};
  psp::CpuidPage cpuid{};
  cpuid.count = 1;
  cpuid.entries[0].eax_in = 7;
  cpuid.entries[0].ebx = 0xFF;
  std::vector<u8> text(0x2000, 0);
  text[0x1000] = 0xF4;
  plan.regions = {{GuestPhysical(0), 0x1000, image::PageType::zero, {}, {}},
                  {GuestPhysical(0x1000), 0x2000, image::PageType::normal, {}, text},
                  {GuestPhysical(0xC000), 0x1000, image::PageType::secrets, {}, {}},
                  {GuestPhysical(0xD000), 0x1000, image::PageType::cpuid, {}, page_bytes(cpuid)}};
  plan.entry_state.rip = 0x2000;
  return plan;
}

TEST(Launch, SnpStepsInQemusOrder) {
  FakeKvm kvm;
  FakeVm& vm = kvm.vm;
  kvm.cpuid = {{1, 0, false, 2, 3, 4, 5}};
  Config config;
  config.policy = 0xB0000;
  const auto launched = launch(kvm, config, small_plan(image::Mode::snp), nullptr);
  ASSERT_TRUE(launched.ok());
  EXPECT_EQ(kvm.type, kvm::VmType::snp);
  EXPECT_EQ(vm.calls,
            (std::vector<std::string>{"region 0", "private", "region 1", "private", "vcpu", "start",
                                      "update 3", "update 1", "update 5", "update 6", "finish"}));
  EXPECT_EQ(vm.policy, 0xB0000u);
  EXPECT_EQ(vm.vcpu.state().rip, 0x2000u);
  EXPECT_EQ(vm.vcpu.cpuid.size(), 1u);
  EXPECT_TRUE(launched->corrected_cpuid.empty());
  EXPECT_TRUE(vm.written.empty()) << "nothing goes through shared memory";
}

TEST(Launch, CertificatesAndTheLimitOfRequestsReachTheHypervisor) {
  FakeKvm kvm;
  Config config;
  config.certificates = {1, 2, 3};
  config.guest_requests_per_second = 7;
  const auto launched = launch(kvm, config, small_plan(image::Mode::snp), nullptr);
  ASSERT_TRUE(launched.ok());
  EXPECT_EQ(kvm.vm.calls.front(), "certificate exits");
  EXPECT_EQ(kvm.guest_requests_per_second, 7u);
}

TEST(Launch, TheInjectionModeReachesTheHypervisor) {
  using snp::InjectionMode;
  for (const auto mode :
       {InjectionMode::normal, InjectionMode::restricted, InjectionMode::alternate}) {
    FakeKvm kvm;
    image::LaunchPlan plan = small_plan(image::Mode::snp);
    plan.injection = mode;
    ASSERT_TRUE(launch(kvm, {}, plan, nullptr).ok());
    EXPECT_EQ(kvm.vmsa_features,
              mode == InjectionMode::normal ? 0 : snp::feature::restricted_injection);
    EXPECT_EQ(kvm.alternate_injection, mode == InjectionMode::alternate);
  }
}

TEST(Launch, CorrectedCpuidPageIsUsedAndReported) {
  FakeKvm kvm;
  psp::CpuidPage accepted{};
  accepted.count = 1;
  accepted.entries[0].eax_in = 7;
  accepted.entries[0].ebx = 0x0F;
  kvm.vm.accepted_cpuid_page = page_bytes(accepted);
  const auto launched = launch(kvm, {}, small_plan(image::Mode::snp), nullptr);
  ASSERT_TRUE(launched.ok());
  ASSERT_EQ(launched->corrected_cpuid.size(), 1u);
  EXPECT_EQ(launched->corrected_cpuid[0], "CPUID 0x7.0x0 ebx: wanted 0xff, firmware allows 0xf");
}

TEST(Launch, RefusedPolicyIsTheUsersMistake) {
  for (const kvm::Error& error :
       {kvm::Error{EIO, 7, "POLICY_FAILURE"}, kvm::Error{EINVAL, 0, "KVM"}}) {
    FakeKvm kvm;
    kvm.vm.start_error = error;
    const auto launched = launch(kvm, {}, small_plan(image::Mode::snp), nullptr);
    ASSERT_FALSE(launched.ok());
    EXPECT_EQ(launched.error().status, 2);
    EXPECT_NE(launched.error().text.find("policy 0x30000"), std::string::npos);
  }
}

TEST(Launch, OtherRefusalsAreOurs) {
  FakeKvm kvm;
  kvm.vm.start_error = {EIO, 3, "INVALID_CONFIG"};
  EXPECT_EQ(launch(kvm, {}, small_plan(image::Mode::snp), nullptr).error().status, 1);
}

TEST(Launch, HostDataAndIdBlockReachTheFirmware) {
  FakeKvm kvm;
  Config config;
  config.finish.host_data[31] = 7;
  config.finish.id_block.assign(96, 1);
  config.finish.id_auth.assign(4096, 2);
  config.finish.auth_key_enabled = true;
  FakeVm& vm = kvm.vm;
  const auto launched = launch(kvm, config, small_plan(image::Mode::snp), nullptr);
  ASSERT_TRUE(launched.ok());
  EXPECT_EQ(vm.finish.host_data, config.finish.host_data);
  EXPECT_EQ(vm.finish.id_block, config.finish.id_block);
  EXPECT_EQ(vm.finish.id_auth, config.finish.id_auth);
  EXPECT_TRUE(vm.finish.auth_key_enabled);
}

// Firmware judges an ID block; without one a refusal is our mistake.
TEST(Launch, RefusedIdBlockIsTheUsersMistake) {
  for (const bool given : {true, false}) {
    FakeKvm kvm;
    Config config;
    config.finish.id_block.assign(given ? 96 : 0, 1);
    kvm.vm.finish_error = {EIO, 0x0B, "scripted"};
    const auto launched = launch(kvm, config, small_plan(image::Mode::snp), nullptr);
    ASSERT_FALSE(launched.ok());
    EXPECT_EQ(launched.error().kind, given ? OutcomeKind::bad_input : OutcomeKind::internal_fault);
    EXPECT_NE(launched.error().text.find("0xb"), std::string::npos) << launched.error().text;
  }
}

TEST(Launch, PlainGuestIsWrittenWithoutFirmware) {
  FakeKvm kvm;
  FakeVm& vm = kvm.vm;
  image::LaunchPlan plan = small_plan(image::Mode::plain);
  plan.regions.pop_back();
  plan.regions.pop_back();
  const auto launched = launch(kvm, {}, plan, nullptr);
  ASSERT_TRUE(launched.ok());
  EXPECT_EQ(kvm.type, kvm::VmType::plain);
  EXPECT_EQ(vm.calls, (std::vector<std::string>{"region 0", "region 1", "vcpu"}));
  ASSERT_EQ(vm.written.size(), 1u) << "pages of zeros are not written";
  EXPECT_EQ(vm.written.begin()->first, 0x2000u);
  EXPECT_EQ(vm.written.begin()->second[0], 0xF4);
}

TEST(CpuidTable, MasksWhatQemuMasks) {
  const std::vector<kvm::CpuidEntry> supported = {{1, 0, false, 0, 0, 0xFFFFFFFF, 0},
                                                  {7, 0, true, 0, 0xFFFFFFFF, 0, 0xFFFFFFFF},
                                                  {0xD, 1, true, 3, 0x340, 0, 0},
                                                  {0x8000001F, 0, false, 0x1A, 47, 0, 0}};
  const auto entries = cpuid_page_entries(supported);
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].ecx, ~(1u << 24 | 1u << 27));
  EXPECT_EQ(entries[1].ebx, ~2u);
  EXPECT_EQ(entries[1].edx, 0x03FFFFFFu);
  EXPECT_EQ(entries[2].ebx, 0x240u);
  EXPECT_EQ(entries[2].ecx_in, 1u);
  EXPECT_EQ(entries[2].xcr0_in, 1u);
  EXPECT_EQ(c_bit(supported), 47u);
  EXPECT_EQ(c_bit({}), 51u);
}

TEST(CpuidTable, AtMostAPageFull) {
  const std::vector<kvm::CpuidEntry> many(100);
  EXPECT_EQ(cpuid_page_entries(many).size(), 64u);
}

}  // namespace
}  // namespace softsnp::vmm::test
