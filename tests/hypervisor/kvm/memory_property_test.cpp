// Random sequences of slot changes, registrations, conversions, page moves, guests' writes and ends
// of VMs, with allocations and RMP instructions that fail: nothing leaks, and no guest sees a byte
// change that the model does not foresee.
#include "tests/hypervisor/kvm/memory_world.hpp"

namespace softsnp::kvm {

// As many pages are pinned as the model has, and those stay where they were.
void MemoryWorld::check_pins() {
  ASSERT_EQ(host.users.pages().pinned_pages(), pinned_);
  for (const ModelBlock& block : blocks_) {
    for (u64 i = 0; i < block.pages.size(); ++i) {
      if (block.pages[i]->pins != 0) {
        const auto found = host.users.find(block.first + i * page_size);
        ASSERT_TRUE(found && found->page == block.pages[i]->pinned_at) << "a pinned page moved";
      }
    }
  }
}

// Of a page that only ever had this key: the bytes that were written, if it is where they were
// written or has no key; noise elsewhere.
void MemoryWorld::check_shared(ModelVm& vm, u64 gpa, const ModelPage& page, HostVirtual at) {
  const GuestPhysical address(gpa);
  const memory::KeyId key = vm.vm->key_at(address);
  if (page.contents ? page.contents->key != key : key != memory::KeyId::none) {
    return;
  }
  const auto bytes = vm.vm->read(address);
  if (!bytes) {
    return;  // the host is full
  }
  const bool in_place = page.contents && host.users.find(at)->page == page.contents->at;
  const PageBytes expected = page.contents ? page_of(page.contents->value) : PageBytes{};
  ++(key == memory::KeyId::none ? seen.shared : in_place ? seen.keyed : seen.noise);
  ASSERT_EQ(*bytes == expected, key == memory::KeyId::none || in_place)
      << "gPA " << gpa << " type " << static_cast<int>(vm.vm->type());
}

void MemoryWorld::check_page(ModelVm& vm, u64 gpa) {
  const UserMemoryRegion* slot = vm.slot_at(gpa);
  const GuestPhysical address(gpa);
  const auto leaf = vm.vm->leaf(address);
  if (slot == nullptr) {
    ASSERT_FALSE(leaf.has_value()) << "mapped without a slot";
    return;
  }
  if (vm.vm->type() == VmType::snp && vm.vm->memory().is_private(address)) {
    const auto written = vm.private_values.find(gpa);
    const auto bytes = written != vm.private_values.end() ? vm.vm->read(address) : std::nullopt;
    if (bytes) {
      ASSERT_EQ(*bytes, page_of(written->second)) << "private gPA " << gpa;
      ++seen.private_pages;
    }
    return;
  }
  const HostVirtual at = slot->address + (gpa - slot->gpa.value());
  const auto found = host.users.find(at);
  if (leaf) {
    ASSERT_TRUE(found && found->page == leaf->page) << "a stale nested mapping of gPA " << gpa;
    ASSERT_TRUE(found->writable || (leaf->value & x86::pte::write) == 0);
    ASSERT_FALSE(host.memory.direct_map().is_assigned(leaf->page));
  }
  if (std::shared_ptr<ModelPage>* page = page_at(at)) {
    check_shared(vm, gpa, **page, at);
  }
}

void MemoryWorld::check_all() {
  const bool armed = gate.armed;
  gate.armed = port.armed = false;
  for (ModelVm& vm : vms_) {
    for (u64 gpa = 0; vm.vm && gpa < guest_bytes; gpa += page_size) {
      ASSERT_NO_FATAL_FAILURE(check_page(vm, gpa));
    }
  }
  gate.armed = port.armed = armed;
}

namespace {

void run(MemoryWorld& world, int steps) {
  for (int i = 0; i < steps; ++i) {
    world.step();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "in step " << i;
  }
  world.check_all();
  world.end();
}

class RandomMemory : public ::testing::TestWithParam<u64> {};

TEST_P(RandomMemory, FailuresForAMomentLeaveNothingBehind) {
  MemoryWorld world(GetParam(), false);
  ASSERT_NO_FATAL_FAILURE(run(world, 6000));
  EXPECT_GT(world.gate.failures, 10u);
  EXPECT_GT(world.port.failures, 10u);
  const host::MoveReport& moves = world.host.mover.totals();
  for (const u64 count : {moves.moved, moves.swapped_out, moves.swapped_in, moves.merged,
                          moves.pinned, moves.guest_memfd, moves.no_memory, world.seen.shared,
                          world.seen.keyed, world.seen.noise, world.seen.private_pages}) {
    EXPECT_GT(count, 20u);
  }
  const auto& firmware = world.private_moves;
  for (const u64 count :
       {firmware.moved, firmware.swapped_out, firmware.swapped_in, firmware.refused}) {
    EXPECT_GT(count, 0u);
  }
  EXPECT_GT(firmware.moved + firmware.swapped_out + firmware.swapped_in, 60u);
  EXPECT_EQ(world.host.memory.leaked_pages(), 0u);
  EXPECT_EQ(world.host.memory.free_pages(), world.free_before);
  EXPECT_EQ(world.host.memory.direct_map().assigned_pages(), world.assigned_before);
  EXPECT_EQ(world.host.users.pages().user_pages(), 0u);
  EXPECT_EQ(world.host.users.pages().guest_memfd_pages(), 0u);
  EXPECT_EQ(world.host.users.pages().pinned_pages(), 0u);
  EXPECT_EQ(world.host.users.swapped_pages(), 0u);
}

// What the RMP does not give back is on the list of leaked pages and nowhere else.
TEST_P(RandomMemory, FailuresForGoodAreAccountedFor) {
  MemoryWorld world(GetParam(), true);
  ASSERT_NO_FATAL_FAILURE(run(world, 6000));
  const u64 leaked = world.host.memory.leaked_pages();
  EXPECT_EQ(world.host.memory.free_pages() + leaked, world.free_before);
  EXPECT_EQ(world.host.memory.direct_map().assigned_pages(), world.assigned_before + leaked);
  EXPECT_EQ(world.host.users.pages().user_pages(), 0u);
  EXPECT_EQ(world.host.users.pages().guest_memfd_pages(), 0u);
  EXPECT_EQ(world.host.users.pages().pinned_pages(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomMemory, ::testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace softsnp::kvm
