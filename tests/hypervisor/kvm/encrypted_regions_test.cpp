// KVM_MEMORY_ENCRYPT_REG_REGION and UNREG_REGION, and the policy that pins slots.
#include "hypervisor/kvm/encrypted_regions.hpp"

#include "tests/hypervisor/kvm/slot_fixture.hpp"

namespace softsnp::kvm {
namespace {

constexpr u64 mib = SlotFixture::mib;

int number(const Result<void, Error>& done) {
  return done ? 0 : done.error().number;
}

struct Regions : SlotFixture {
  using SlotFixture::SlotFixture;
  int add(HostVirtual at, u64 bytes) { return number(memory->regions().add(at, bytes)); }
  int drop(HostVirtual at, u64 bytes) { return number(memory->regions().remove(at, bytes)); }
  u64 pinned() { return host.users.pages().pinned_pages(); }
};

TEST(EncryptedRegions, OnlyForGuestsWithAKey) {
  Regions plain(VmType::plain);
  EXPECT_EQ(plain.add(plain.ram, mib), ENOTTY);
  EXPECT_EQ(plain.drop(plain.ram, mib), ENOTTY);
  for (const VmType type : {VmType::sev, VmType::sev_es, VmType::snp}) {
    Regions f(type);
    EXPECT_EQ(f.add(f.ram, mib), 0);
    EXPECT_EQ(f.drop(f.ram, mib), 0);
  }
}

TEST(EncryptedRegions, BadRangesPinNothing) {
  Regions f(VmType::sev);
  EXPECT_EQ(f.add(f.ram, 0), EINVAL);
  EXPECT_EQ(f.add(f.ram, ~u64{0}), EINVAL) << "wraps";
  EXPECT_EQ(f.add(HostVirtual(0), u64{1} << 44), EINVAL) << "more pages than can be counted";
  EXPECT_EQ(f.add(HostVirtual(0x1000), mib), ENOMEM) << "nothing is mapped there";
  EXPECT_EQ(f.add(f.ram + 15 * mib, 2 * mib), ENOMEM) << "the second half is not";
  EXPECT_EQ(f.pinned(), 0u);
  EXPECT_EQ(f.memory->regions().pages_locked(), 0u);
}

TEST(EncryptedRegions, PagesThatTheRangeTouches) {
  Regions f(VmType::sev);
  ASSERT_EQ(f.add(f.ram + 0xFFF, 2), 0);
  EXPECT_EQ(f.pinned(), 2u);
  EXPECT_EQ(f.drop(f.ram, 0x2000), EINVAL) << "not what was registered";
  EXPECT_EQ(f.drop(f.ram + 0xFFF, 1), EINVAL);
  EXPECT_EQ(f.pinned(), 2u);
  EXPECT_EQ(f.drop(f.ram + 0xFFF, 2), 0);
  EXPECT_EQ(f.pinned(), 0u);
  EXPECT_EQ(f.drop(f.ram + 0xFFF, 2), EINVAL) << "unknown now";
}

TEST(EncryptedRegions, RegisteredTwicePinsTwice) {
  Regions f(VmType::sev);
  ASSERT_EQ(f.add(f.ram, 0x4000), 0);
  ASSERT_EQ(f.add(f.ram, 0x4000), 0);
  ASSERT_EQ(f.add(f.ram + 0x2000, 0x4000), 0);
  EXPECT_EQ(f.pinned(), 6u);
  EXPECT_EQ(f.memory->regions().pages_locked(), 12u);
  EXPECT_EQ(f.drop(f.ram, 0x4000), 0);
  EXPECT_EQ(f.pinned(), 6u);
  EXPECT_EQ(f.drop(f.ram, 0x4000), 0);
  EXPECT_EQ(f.pinned(), 4u);
}

TEST(EncryptedRegions, TheLimitOfLockedMemoryHolds) {
  host::UserMemoryConfig config;
  config.lock_limit_bytes = 8 * page_size;
  Regions f(VmType::sev, PinPolicy::registered_regions, config);
  ASSERT_EQ(f.add(f.ram, 5 * page_size), 0);
  EXPECT_EQ(f.add(f.ram + mib, 4 * page_size), ENOMEM);
  EXPECT_EQ(f.pinned(), 5u);
  EXPECT_EQ(f.add(f.ram + mib, 3 * page_size), 0);
  EXPECT_EQ(f.drop(f.ram, 5 * page_size), 0);
  EXPECT_EQ(f.add(f.ram, 5 * page_size), 0);
}

TEST(EncryptedRegions, AFailureHalfWayGivesBackItsPins) {
  Regions f(VmType::sev, PinPolicy::registered_regions, {}, 16 * mib);
  EXPECT_EQ(f.add(f.ram, 16 * mib), ENOMEM) << "the host has not that much";
  EXPECT_EQ(f.pinned(), 0u);
  EXPECT_EQ(f.memory->regions().pages_locked(), 0u);
}

TEST(EncryptedRegions, StayWhateverBecomesOfTheSlot) {
  Regions f(VmType::sev);
  ASSERT_EQ(f.set(f.region(0, 0, 2 * mib)), 0);
  ASSERT_EQ(f.add(f.ram, 2 * mib), 0);
  const SystemPhysical page = f.host.users.find(f.ram)->page;
  ASSERT_EQ(f.remove(0), 0);
  EXPECT_EQ(f.pinned(), 512u);
  EXPECT_EQ(f.host.mover.migrate(f.ram, 2 * mib, 1).pinned, 512u);
  ASSERT_EQ(f.set(f.region(0, 4 * mib, 2 * mib)), 0);
  ASSERT_EQ(f.set(f.region(0, 6 * mib, 2 * mib)), 0) << "moved";
  EXPECT_EQ(f.host.mover.swap_out(f.ram, 2 * mib).pinned, 512u);
  ASSERT_EQ(f.fault(6 * mib), NpfResolution::mapped_2m);
  EXPECT_EQ(f.leaf(6 * mib)->page, page);
}

TEST(EncryptedRegions, TheEndOfTheVmReleasesAll) {
  Regions f(VmType::sev);
  const u64 free_before = f.host.memory.free_pages();
  ASSERT_EQ(f.add(f.ram, 4 * mib), 0);
  ASSERT_EQ(f.add(f.ram + mib, 4 * mib), 0);
  ASSERT_TRUE(f.host.users.unmap(f.ram).ok());
  EXPECT_EQ(f.pinned(), 5 * mib / page_size) << "pinned pages outlive their block";
  f.memory.reset();
  EXPECT_EQ(f.pinned(), 0u);
  EXPECT_EQ(f.host.memory.free_pages(), free_before + 1);
}

TEST(EncryptedRegions, PinsOfSlotsEndWithThem) {
  Regions f(VmType::sev, PinPolicy::memory_slots);
  EXPECT_EQ(f.add(f.ram, mib), 0) << "there is no such call under this policy: no effect";
  EXPECT_EQ(f.drop(f.ram, mib), 0);
  EXPECT_EQ(f.pinned(), 0u);
  ASSERT_EQ(f.set(f.region(0, 0, 2 * mib)), 0);
  EXPECT_EQ(f.pinned(), 512u);
  ASSERT_EQ(f.set(f.region(0, 4 * mib, 2 * mib)), 0);
  EXPECT_EQ(f.pinned(), 512u);
  ASSERT_EQ(f.remove(0), 0);
  EXPECT_EQ(f.pinned(), 0u);
  UserMemoryRegion nowhere = f.region(1, 0, 2 * mib);
  nowhere.address = HostVirtual(0x1000);
  EXPECT_EQ(f.set(nowhere), ENOMEM);
  EXPECT_EQ(f.fault(0), NpfResolution::unresolved) << "no slot was made";
  ASSERT_EQ(f.set(f.region(0, 0, 2 * mib)), 0);
  f.memory.reset();
  EXPECT_EQ(f.pinned(), 0u);
}

TEST(EncryptedRegions, PlainGuestsPinNothing) {
  Regions f(VmType::plain, PinPolicy::memory_slots);
  ASSERT_EQ(f.set(f.region(0, 0, 2 * mib)), 0);
  EXPECT_EQ(f.pinned(), 0u);
}

// Lines under the guest's key must not be written back into pages that others have.
TEST(EncryptedRegions, CachesAreFlushedBeforePagesGo) {
  Regions f(VmType::sev);
  ASSERT_EQ(f.add(f.ram, mib), 0);
  ASSERT_EQ(f.add(f.ram + mib, mib), 0);
  const auto flushes = [&] {
    return std::count(f.port.log.begin(), f.port.log.end(), std::string("wbinvd"));
  };
  EXPECT_EQ(flushes(), 0);
  ASSERT_EQ(f.drop(f.ram, mib), 0);
  EXPECT_EQ(flushes(), 2) << "both cores";
  f.memory.reset();
  EXPECT_EQ(flushes(), 4);
}

}  // namespace
}  // namespace softsnp::kvm
