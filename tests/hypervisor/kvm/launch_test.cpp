#include <gtest/gtest.h>

#include "arch/snp/features.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {

struct Launch {
  Launch() : port(64 * test_mib), kvm(make_kvm(port)) {
    VmConfig config;
    config.type = VmType::snp;
    vm = std::move(kvm->create_vm(config).value());
    EXPECT_TRUE(vm->set_memory_region(0, GuestPhysical(0), 8 * test_mib).ok());
    EXPECT_TRUE(vm->set_private(GuestPhysical(0), 8 * test_mib, true).ok());
  }
  Result<void, Error> update(u64 gpa, u64 length, LaunchPageType type,
                             std::span<const u8> bytes = {}, std::vector<u8>* out = nullptr) {
    LaunchUpdate u;
    u.gpa = GuestPhysical(gpa);
    u.length = length;
    u.type = type;
    u.bytes = bytes;
    return vm->launch_update(u, out);
  }
  test::FakePort port;
  std::unique_ptr<Kvm> kvm;
  std::unique_ptr<Vm> vm;
};

// KVM_SEV_INIT2 answers features that it does not support with EINVAL.
TEST(Launch, FeaturesThatAVmCanHave) {
  test::FakePort port(64 * test_mib);
  const auto kvm = make_kvm(port);
  const auto create = [&](VmType type, u64 features, bool alternate) {
    VmConfig config;
    config.type = type;
    config.vmsa_features = features;
    config.alternate_injection = alternate;
    const auto made = kvm->create_vm(config);
    return made ? 0 : made.error().number;
  };
  namespace feature = snp::feature;
  EXPECT_EQ(create(VmType::snp, feature::restricted_injection, false), 0);
  EXPECT_EQ(create(VmType::snp, feature::restricted_injection, true), 0);
  EXPECT_EQ(create(VmType::snp, 0, true), EINVAL) << "no doorbell page to announce them in";
  EXPECT_EQ(create(VmType::snp, feature::alternate_injection, false), EINVAL);
  EXPECT_EQ(
      create(VmType::snp, feature::restricted_injection | feature::alternate_injection, false),
      EINVAL);
  EXPECT_EQ(create(VmType::snp, feature::secure_tsc, false), EINVAL);
  for (const VmType type : {VmType::plain, VmType::sev, VmType::sev_es}) {
    EXPECT_EQ(create(type, feature::restricted_injection, false), EINVAL);
    EXPECT_EQ(create(type, 0, true), EINVAL);
  }
}

TEST(Launch, PolicyRulesOfKvm) {
  Launch t;
  for (const u64 policy :
       {u64{0}, u64{0x10000}, u64{0x20000}, u64{0x70000}, u64{0x130000}, u64{0x230000}}) {
    EXPECT_EQ(t.vm->launch_start({policy}).error().number, EINVAL) << policy;
  }
  EXPECT_EQ(t.port.count(psp::Command::snp_gctx_create), 0u);
  EXPECT_TRUE(t.vm->launch_start({0xB0137}).ok());
  EXPECT_EQ(t.vm->launch_start({}).error().number, EINVAL) << "twice";
}

TEST(Launch, OrderOfCommands) {
  Launch t;
  ASSERT_TRUE(t.vm->create_vcpu(0).ok());
  ASSERT_TRUE(t.vm->launch_start({}).ok());
  ASSERT_TRUE(t.update(0x1000, 0x1000, LaunchPageType::secrets).ok());
  ASSERT_TRUE(t.vm->launch_finish({}).ok());
  std::vector<psp::Command> order;
  for (const auto& call : t.port.psp_calls) {
    if (call.command != psp::Command::snp_df_flush && call.command != psp::Command::snp_init_ex) {
      order.push_back(call.command);
    }
  }
  using psp::Command;
  EXPECT_EQ(order, (std::vector<Command>{Command::snp_gctx_create, Command::snp_launch_start,
                                         Command::snp_activate, Command::snp_launch_update,
                                         Command::snp_launch_update, Command::snp_launch_finish}));
  // The VMSA has KVM's address in the RMP.
  const auto vmsa =
      load_le<psp::SnpLaunchUpdate>(t.port.psp_calls[t.port.psp_calls.size() - 2].buffer.data());
  EXPECT_EQ(t.port.entry(SystemPhysical(vmsa.page_paddr)).gpa, 0xFFFFFFFFF000u);
  EXPECT_EQ(t.update(0x2000, 0x1000, LaunchPageType::zero).error().number, EINVAL);
}

TEST(Launch, ZeroMemoryGoesInLargePagesAndIsNotTouched) {
  Launch t;
  ASSERT_TRUE(t.vm->launch_start({}).ok());
  const usize touched = t.port.touched_pages();
  ASSERT_TRUE(t.update(0, 8 * test_mib, LaunchPageType::zero).ok());
  EXPECT_EQ(t.port.count(psp::Command::snp_launch_update), 4u);
  EXPECT_EQ(t.port.touched_pages(), touched);
  EXPECT_EQ(load_le<psp::SnpLaunchUpdate>(t.port.psp_calls.back().buffer.data()).flags, 7u);
}

TEST(Launch, SmallPiecesInsideAFrame) {
  Launch t;
  ASSERT_TRUE(t.vm->launch_start({}).ok());
  std::vector<u8> bytes(0x3000, 0);
  bytes[0x1000] = 0x5A;
  ASSERT_TRUE(t.update(0x10000, bytes.size(), LaunchPageType::normal, bytes).ok());
  EXPECT_EQ(t.port.count(psp::Command::snp_launch_update), 3u);
  EXPECT_EQ(t.update(0x11000, 0x1000, LaunchPageType::zero).error().number, EEXIST);
  EXPECT_EQ(t.update(0x20000, 0x2000, LaunchPageType::normal, bytes).error().number, EINVAL)
      << "wrong length";
  EXPECT_EQ(t.update(9 * test_mib, 0x1000, LaunchPageType::zero).error().number, EINVAL);
  EXPECT_EQ(t.update(0x20000, 0x1000, LaunchPageType::vmsa).error().number, EINVAL);
  const auto second =
      load_le<psp::SnpLaunchUpdate>(t.port.psp_calls[t.port.psp_calls.size() - 2].buffer.data());
  u8 byte = 0;
  ASSERT_TRUE(t.port.load(SystemPhysical(second.page_paddr), {&byte, 1}).ok());
  EXPECT_EQ(byte, 0x5A);
}

TEST(Launch, RejectedCpuidPageComesBackAndMayBeTriedAgain) {
  Launch t;
  ASSERT_TRUE(t.vm->launch_start({}).ok());
  t.port.psp_status[psp::Command::snp_launch_update] = psp::Status::invalid_param;
  std::vector<u8> page(0x1000, 0x11);
  std::vector<u8> corrected;
  const auto refused = t.update(0x3000, 0x1000, LaunchPageType::cpuid, page, &corrected);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().firmware, psp::number(psp::Status::invalid_param));
  EXPECT_EQ(corrected, page);
  t.port.psp_status.clear();
  EXPECT_TRUE(t.update(0x3000, 0x1000, LaunchPageType::cpuid, corrected).ok());
}

TEST(Launch, EverythingComesBackWhenTheVmIsGone) {
  for (const bool finished : {false, true}) {
    Launch t;
    ASSERT_TRUE(t.vm->create_vcpu(0).ok());
    ASSERT_TRUE(t.vm->launch_start({}).ok());
    ASSERT_TRUE(t.update(0, 4 * test_mib, LaunchPageType::zero).ok());
    if (finished) {
      ASSERT_TRUE(t.vm->launch_finish({}).ok());
    }
    t.vm.reset();
    EXPECT_EQ(t.port.count(psp::Command::snp_decommission), 1u);
    for (const auto& [page, entry] : t.port.rmp) {
      EXPECT_EQ(entry.assigned, 0) << page;
    }
  }
}

TEST(Launch, IdBlockNeedsItsSizes) {
  Launch t;
  ASSERT_TRUE(t.vm->create_vcpu(0).ok());
  ASSERT_TRUE(t.vm->launch_start({}).ok());
  LaunchFinish finish;
  finish.id_block.resize(95);
  EXPECT_EQ(t.vm->launch_finish(finish).error().number, EINVAL);
}

TEST(Launch, PlainVmsHaveNone) {
  test::FakePort port(64 * test_mib);
  auto kvm = make_kvm(port);
  auto vm = std::move(kvm->create_vm({}).value());
  EXPECT_EQ(vm->launch_start({}).error().number, ENOTTY);
  EXPECT_EQ(port.count(psp::Command::snp_init_ex), 0u) << "SNP is brought up only when needed";
}

}  // namespace
}  // namespace softsnp::kvm
