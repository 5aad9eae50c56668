#include "vmm/ram_blocks.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/vmm/fakes.hpp"
#include "vmm/guest_ram.hpp"
#include "vmm/launch.hpp"

namespace softsnp::vmm::test {
namespace {

constexpr u64 mib = u64{1} << 20;

struct Listener final : RamBlockNotifier {
  Result<void, kvm::Error> added(const kvm::RamBlock& block) override {
    if (refuses) {
      return Failure{kvm::Error{ENOMEM, 0, "no more"}};
    }
    known.push_back(block);
    return {};
  }
  void removed(const kvm::RamBlock& block) override {
    known.erase(std::find(known.begin(), known.end(), block));
  }
  std::vector<kvm::RamBlock> known;
  bool refuses = false;
};

TEST(RamBlocks, NotifiersHearOfEveryBlock) {
  FakeProcessMemory memory;
  RamBlocks blocks(memory);
  const kvm::RamBlock first = blocks.add(mib).value();
  Listener early;
  Listener late;
  ASSERT_TRUE(blocks.add_notifier(early).ok());
  EXPECT_EQ(early.known, (std::vector<kvm::RamBlock>{first}));
  const kvm::RamBlock second = blocks.add(2 * mib).value();
  ASSERT_TRUE(blocks.add_notifier(late).ok());
  EXPECT_EQ(early.known, (std::vector<kvm::RamBlock>{first, second}));
  EXPECT_EQ(late.known, early.known);
  ASSERT_TRUE(blocks.remove(first.first).ok());
  EXPECT_EQ(early.known, (std::vector<kvm::RamBlock>{second}));
  EXPECT_EQ(memory.mapped, early.known);
  EXPECT_EQ(blocks.remove(first.first).error().number, EINVAL);
  blocks.remove_notifier(early);
  EXPECT_TRUE(early.known.empty());
  EXPECT_EQ(late.known.size(), 1u);
  blocks.remove_notifier(late);
}

TEST(RamBlocks, ARefusalTakesTheBlockBack) {
  FakeProcessMemory memory;
  Listener willing;
  Listener other;
  RamBlocks blocks(memory);
  ASSERT_TRUE(blocks.add_notifier(willing).ok());
  ASSERT_TRUE(blocks.add_notifier(other).ok());
  other.refuses = true;
  EXPECT_EQ(blocks.add(mib).error().number, ENOMEM);
  EXPECT_TRUE(willing.known.empty());
  EXPECT_TRUE(memory.mapped.empty());
  EXPECT_TRUE(blocks.blocks().empty());
  other.refuses = false;
  ASSERT_TRUE(blocks.add(mib).ok());
  Listener third;
  third.refuses = true;
  EXPECT_FALSE(blocks.add_notifier(third).ok());
  ASSERT_TRUE(blocks.add(mib).ok()) << "it is not among them";
}

TEST(RamBlocks, AllGoAtTheEnd) {
  FakeProcessMemory memory;
  {
    RamBlocks blocks(memory);
    ASSERT_TRUE(blocks.add(mib).ok());
    ASSERT_TRUE(blocks.add(mib).ok());
  }
  EXPECT_TRUE(memory.mapped.empty());
}

TEST(EncryptedRam, RegistersBlocksWithKvm) {
  FakeWorld world;
  FakeVm vm(world);
  FakeProcessMemory memory;
  RamBlocks blocks(memory);
  const kvm::RamBlock first = blocks.add(mib).value();
  {
    EncryptedRam encrypted(vm, blocks);
    ASSERT_TRUE(blocks.add_notifier(encrypted).ok());
    const kvm::RamBlock second = blocks.add(2 * mib).value();
    EXPECT_EQ(vm.registered, (std::vector<kvm::RamBlock>{first, second}));
    ASSERT_TRUE(blocks.remove(first.first).ok());
    EXPECT_EQ(vm.registered, (std::vector<kvm::RamBlock>{second}));
  }
  EXPECT_TRUE(vm.registered.empty());
}

image::LaunchPlan plan_of(image::Mode mode) {
  image::LaunchPlan plan;
  plan.mode = mode;
  plan.ram = {{GuestPhysical(0), 0xA0000},
              {GuestPhysical(0xC0000), 0x340000},
              {GuestPhysical(u64{4} << 30), 3 * mib}};
  return plan;
}

TEST(GuestRam, ABlockHasTheHolesOfItsRanges) {
  FakeWorld world;
  FakeVm vm(world);
  FakeProcessMemory memory;
  RamBlocks blocks(memory);
  ASSERT_TRUE(give_ram(vm, blocks, plan_of(image::Mode::plain)).ok());
  ASSERT_EQ(blocks.blocks().size(), 2u);
  EXPECT_EQ(blocks.blocks()[0].bytes, 4 * mib);
  EXPECT_EQ(blocks.blocks()[1].bytes, 3 * mib);
  ASSERT_EQ(vm.slots.size(), 3u);
  EXPECT_EQ(vm.slots[0].address, blocks.blocks()[0].first);
  EXPECT_EQ(vm.slots[1].address, blocks.blocks()[0].first + 0xC0000);
  EXPECT_EQ(vm.slots[1].size, 0x340000u);
  EXPECT_EQ(vm.slots[2].address, blocks.blocks()[1].first);
  EXPECT_EQ(vm.slots[2].slot, 2u);
  EXPECT_TRUE(vm.memfds.empty());
  EXPECT_TRUE(vm.conversions.empty());
}

TEST(GuestRam, SnpGuestsHaveAGuestMemfdForEachBlock) {
  FakeWorld world;
  FakeVm vm(world);
  FakeProcessMemory memory;
  RamBlocks blocks(memory);
  ASSERT_TRUE(give_ram(vm, blocks, plan_of(image::Mode::snp)).ok());
  EXPECT_EQ(vm.memfds, (std::vector<u64>{4 * mib, 3 * mib}));
  ASSERT_EQ(vm.slots.size(), 3u);
  EXPECT_EQ(vm.slots[1].flags, kvm::slot_flag::guest_memfd);
  EXPECT_EQ(vm.slots[1].guest_memfd, 1u);
  EXPECT_EQ(vm.slots[1].guest_memfd_offset, 0xC0000u);
  EXPECT_EQ(vm.slots[2].guest_memfd, 2u);
  EXPECT_EQ(vm.slots[2].guest_memfd_offset, 0u);
  EXPECT_EQ(vm.conversions.size(), 3u);
}

TEST(GuestRam, OnlyRamOfSevGuestsIsRegistered) {
  for (const image::Mode mode :
       {image::Mode::plain, image::Mode::sev, image::Mode::sev_es, image::Mode::snp}) {
    FakeKvm kvm;
    FakeVm& vm = kvm.vm;
    const auto launched = launch(kvm, {}, plan_of(mode), nullptr);
    ASSERT_TRUE(launched.ok());
    const bool is_sev = mode == image::Mode::sev || mode == image::Mode::sev_es;
    EXPECT_EQ(vm.registered.size(), is_sev ? 2u : 0u);
    if (is_sev) {
      EXPECT_EQ(vm.calls.front(), "register") << "before anything can see the memory";
    }
  }
}

TEST(GuestRam, ALaunchEndsWhereMemoryCannotBeLocked) {
  FakeKvm kvm;
  kvm.vm.register_error = ENOMEM;
  const auto launched = launch(kvm, {}, plan_of(image::Mode::sev), nullptr);
  ASSERT_FALSE(launched.ok());
  EXPECT_EQ(launched.error().text, "guest memory: scripted");
  EXPECT_TRUE(kvm.process.mapped.empty());
}

}  // namespace
}  // namespace softsnp::vmm::test
