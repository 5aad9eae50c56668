// Memory slots over RAM blocks: KVM's rules, and what stays when a slot goes.
#include "hypervisor/kvm/memory_slots.hpp"

#include "tests/hypervisor/kvm/slot_fixture.hpp"

namespace softsnp::kvm {
namespace {

constexpr u64 mib = SlotFixture::mib;

TEST(MemorySlots, BadInputIsKvmsErrnoAndChangesNothing) {
  SlotFixture f(VmType::plain);
  ASSERT_EQ(f.set(f.region(0, 0, 4 * mib)), 0);
  const auto with = [&](auto change) {
    UserMemoryRegion region = f.region(1, 8 * mib, mib, 8 * mib);
    change(region);
    return f.set(region);
  };
  EXPECT_EQ(with([](auto& r) { r.size = 0x800; }), EINVAL);
  EXPECT_EQ(with([](auto& r) { r.gpa = GuestPhysical(0x1001); }), EINVAL);
  EXPECT_EQ(with([](auto& r) { r.address = HostVirtual(0x1001); }), EINVAL);
  EXPECT_EQ(with([](auto& r) { r.address = HostVirtual(~u64{0xFFF}); }), EINVAL) << "wraps";
  EXPECT_EQ(with([](auto& r) { r.address = HostVirtual(u64{1} << 47); }), EINVAL) << "kernel";
  EXPECT_EQ(with([](auto& r) { r.gpa = GuestPhysical(~u64{0xFFF}); }), EINVAL) << "wraps";
  EXPECT_EQ(with([](auto& r) { r.gpa = GuestPhysical((u64{1} << 48) - 0x1000); }), EINVAL);
  EXPECT_EQ(with([](auto& r) { r.size = u64{1} << 44; }), EINVAL) << "2^31 pages and more";
  EXPECT_EQ(with([](auto& r) { r.slot = 32764; }), EINVAL);
  EXPECT_EQ(with([](auto& r) { r.slot = 0x10001; }), EINVAL) << "another address space";
  EXPECT_EQ(with([](auto& r) { r.flags = 8; }), EINVAL);
  EXPECT_EQ(with([](auto& r) { r.flags = slot_flag::guest_memfd; }), EINVAL) << "no SNP VM";
  EXPECT_EQ(with([](auto& r) { r.size = 0; }), EINVAL) << "no such slot to delete";
  EXPECT_EQ(with([](auto& r) { r.gpa = GuestPhysical(4 * mib - 0x1000); }), EEXIST);
  // Of the first slot, nothing but place and dirty logging can change.
  EXPECT_EQ(f.set(f.region(0, 0, 2 * mib)), EINVAL);
  EXPECT_EQ(f.set(f.region(0, 0, 4 * mib, 0x1000)), EINVAL);
  UserMemoryRegion readonly = f.region(0, 0, 4 * mib);
  readonly.flags = slot_flag::readonly;
  EXPECT_EQ(f.set(readonly), EINVAL);
  EXPECT_EQ(f.set(f.region(0, 0, 4 * mib)), 0) << "nothing to change";
  EXPECT_EQ(f.fault(8 * mib), NpfResolution::unresolved) << "no slot was made";
  EXPECT_EQ(f.fault(3 * mib), NpfResolution::mapped_2m);
}

TEST(MemorySlots, AMovedSlotMayOverlapItselfOnly) {
  SlotFixture f(VmType::plain);
  ASSERT_EQ(f.set(f.region(0, 0, 4 * mib)), 0);
  ASSERT_EQ(f.set(f.region(1, 8 * mib, mib, 8 * mib)), 0);
  EXPECT_EQ(f.set(f.region(0, 6 * mib, 4 * mib)), EEXIST);
  f.put(0x1234, 42);
  ASSERT_EQ(f.fault(0x1234), NpfResolution::mapped_2m);
  const SystemPhysical page = f.leaf(0x1234)->page;
  const u64 shrinks = f.memory->shrink_count();
  ASSERT_EQ(f.set(f.region(0, 2 * mib, 4 * mib)), 0);
  EXPECT_GT(f.memory->shrink_count(), shrinks);
  EXPECT_FALSE(f.leaf(0x1234).has_value());
  EXPECT_EQ(f.get(0x1234), -1);
  EXPECT_EQ(f.get(2 * mib + 0x1234), 42);
  ASSERT_EQ(f.fault(2 * mib + 0x1234), NpfResolution::mapped_2m);
  EXPECT_EQ(f.leaf(2 * mib + 0x1234)->page, page);
  // 4 KiB off: frames of guest and VMM are no longer the same.
  ASSERT_EQ(f.set(f.region(0, 0x1000, 4 * mib)), 0);
  EXPECT_EQ(f.fault(0x2234), NpfResolution::mapped_4k);
  EXPECT_EQ(f.leaf(0x2234)->page, page);
}

TEST(MemorySlots, ContentsOutliveTheSlot) {
  SlotFixture f(VmType::plain);
  ASSERT_EQ(f.set(f.region(3, 0, 4 * mib)), 0);
  f.put(0x5000, 9);
  ASSERT_EQ(f.fault(0x5000), NpfResolution::mapped_2m);
  const u64 free = f.host.memory.free_pages();
  ASSERT_EQ(f.remove(3), 0);
  EXPECT_FALSE(f.leaf(0x5000).has_value());
  EXPECT_EQ(f.remove(3), EINVAL);
  EXPECT_EQ(f.host.memory.free_pages(), free);
  ASSERT_EQ(f.set(f.region(4, 8 * mib, 4 * mib)), 0);
  EXPECT_EQ(f.get(8 * mib + 0x5000), 9);
}

TEST(MemorySlots, TwoSlotsMayShowTheSameRam) {
  SlotFixture f(VmType::plain);
  ASSERT_EQ(f.set(f.region(0, 0, 2 * mib)), 0);
  ASSERT_EQ(f.set(f.region(1, 4 * mib, 2 * mib)), 0);
  f.put(0x10, 1);
  EXPECT_EQ(f.get(4 * mib + 0x10), 1);
  ASSERT_EQ(f.fault(0), NpfResolution::mapped_2m);
  ASSERT_EQ(f.fault(4 * mib), NpfResolution::mapped_2m);
  EXPECT_EQ(f.host.mover.migrate(f.ram, 2 * mib, 1).moved, 512u);
  EXPECT_FALSE(f.leaf(0).has_value());
  EXPECT_FALSE(f.leaf(4 * mib).has_value());
}

TEST(MemorySlots, AddressesWithoutMemoryAreFoundOutByTheGuest) {
  SlotFixture f(VmType::plain);
  UserMemoryRegion nowhere = f.region(0, 0, mib);
  nowhere.address = HostVirtual(0x1000);
  EXPECT_EQ(f.set(nowhere), 0) << "KVM does not ask";
  EXPECT_EQ(f.fault(0), NpfResolution::no_backing);
  EXPECT_EQ(f.get(0), -1);
  ASSERT_EQ(f.set(f.region(1, 4 * mib, mib)), 0);
  ASSERT_EQ(f.fault(4 * mib), NpfResolution::mapped_4k);
  ASSERT_TRUE(f.host.users.unmap(f.ram).ok());
  EXPECT_FALSE(f.leaf(4 * mib).has_value());
  EXPECT_EQ(f.fault(4 * mib), NpfResolution::no_backing);
}

TEST(MemorySlots, WritesToReadOnlySlotsAreMmio) {
  SlotFixture f(VmType::plain);
  UserMemoryRegion rom = f.region(0, 0, 2 * mib);
  rom.flags = slot_flag::readonly;
  ASSERT_EQ(f.set(rom), 0);
  EXPECT_EQ(f.fault(0x1000, SlotFixture::read_access), NpfResolution::mapped_2m);
  EXPECT_FALSE(f.writable(0x1000));
  EXPECT_FALSE(f.memory->handle_fault(GuestPhysical(0x1000), SlotFixture::write_access).has_slot);
  EXPECT_FALSE(f.memory->handle_fault(GuestPhysical(0x1000), 7).has_slot) << "present, write";
}

TEST(MemorySlots, DirtyPagesAreLogged) {
  SlotFixture f(VmType::plain);
  UserMemoryRegion region = f.region(0, 0, 4 * mib);
  ASSERT_EQ(f.set(region), 0);
  ASSERT_EQ(f.fault(0x1000), NpfResolution::mapped_2m);
  EXPECT_EQ(f.memory->take_dirty_log(0).error().number, ENOENT);
  region.flags = slot_flag::log_dirty_pages;
  ASSERT_EQ(f.set(region), 0);
  EXPECT_FALSE(f.leaf(0x1000).has_value()) << "mapped for writing";
  EXPECT_EQ(f.fault(0x3000, SlotFixture::read_access), NpfResolution::mapped_4k);
  EXPECT_FALSE(f.writable(0x3000));
  EXPECT_EQ(f.fault(0x3000, 7), NpfResolution::mapped_4k);
  EXPECT_TRUE(f.writable(0x3000));
  f.put(0x41000, 1);
  EXPECT_EQ(f.get(0x50000), 0);
  auto log = f.memory->take_dirty_log(0).value();
  ASSERT_EQ(log.size(), 16u);
  EXPECT_EQ(log[0], bit(3));
  EXPECT_EQ(log[1], bit(1));
  EXPECT_FALSE(f.leaf(0x3000).has_value()) << "the next write counts again";
  log = f.memory->take_dirty_log(0).value();
  EXPECT_EQ(log[0] | log[1], 0u);
  region.flags = 0;
  ASSERT_EQ(f.set(region), 0);
  EXPECT_EQ(f.fault(0x3000), NpfResolution::mapped_2m);
}

TEST(MemorySlots, MergedPagesAreReadOnlyUntilAGuestWrites) {
  SlotFixture f(VmType::plain);
  ASSERT_EQ(f.set(f.region(0, 0, 0x2000)), 0);
  f.put(0x0, 5);
  f.put(0x1000, 5);
  ASSERT_EQ(f.fault(0), NpfResolution::mapped_4k);
  ASSERT_EQ(f.fault(0x1000), NpfResolution::mapped_4k);
  const host::UserMemory::Block range{f.ram, 0x2000};
  ASSERT_EQ(f.host.mover.merge({&range, 1}).merged, 1u);
  EXPECT_FALSE(f.leaf(0).has_value());
  ASSERT_EQ(f.fault(0, SlotFixture::read_access), NpfResolution::mapped_4k);
  ASSERT_EQ(f.fault(0x1000, SlotFixture::read_access), NpfResolution::mapped_4k);
  EXPECT_EQ(f.leaf(0)->page, f.leaf(0x1000)->page);
  EXPECT_FALSE(f.writable(0));
  const u64 shrinks = f.memory->shrink_count();
  ASSERT_EQ(f.fault(0x1000, 7), NpfResolution::mapped_4k);
  EXPECT_GT(f.memory->shrink_count(), shrinks);
  EXPECT_TRUE(f.writable(0x1000));
  EXPECT_NE(f.leaf(0)->page, f.leaf(0x1000)->page);
  f.put(0x1000, 6);
  EXPECT_EQ(f.get(0), 5);
}

TEST(GuestMemfdSlots, BindingFollowsKvmsRules) {
  SlotFixture f(VmType::snp);
  EXPECT_EQ(f.memory->create_guest_memfd(0).error().number, EINVAL);
  EXPECT_EQ(f.memory->create_guest_memfd(0x800).error().number, EINVAL);
  UserMemoryRegion region = f.region(0, 0, 4 * mib);
  region.flags = slot_flag::guest_memfd;
  region.guest_memfd = 7;
  EXPECT_EQ(f.set(region), EBADF);
  region.guest_memfd = f.memory->create_guest_memfd(8 * mib).value();
  region.guest_memfd_offset = 0x800;
  EXPECT_EQ(f.set(region), EINVAL);
  region.guest_memfd_offset = ~u64{0xFFF};
  EXPECT_EQ(f.set(region), EINVAL);
  region.guest_memfd_offset = 6 * mib;
  EXPECT_EQ(f.set(region), EINVAL) << "beyond the file";
  region.guest_memfd_offset = 0;
  region.flags |= slot_flag::log_dirty_pages;
  EXPECT_EQ(f.set(region), EINVAL);
  region.flags = slot_flag::guest_memfd;
  ASSERT_EQ(f.set(region), 0);
  EXPECT_EQ(f.set(region), EINVAL) << "slots with private memory do not change";
  UserMemoryRegion second = f.region(1, 8 * mib, 4 * mib, 4 * mib);
  second.flags = slot_flag::guest_memfd;
  second.guest_memfd = region.guest_memfd;
  second.guest_memfd_offset = 2 * mib;
  EXPECT_EQ(f.set(second), EINVAL) << "that part has a slot";
  second.guest_memfd_offset = 4 * mib;
  EXPECT_EQ(f.set(second), 0);
  EXPECT_EQ(f.memory->close_guest_memfd(99).error().number, EBADF);
}

// A frame that went page by page is no different from a new one.
TEST(GuestMemfdSlots, AnEmptiedFrameIsLargeAgain) {
  SlotFixture f(VmType::snp);
  UserMemoryRegion region = f.region(0, 0, 4 * mib);
  region.flags = slot_flag::guest_memfd;
  region.guest_memfd = f.memory->create_guest_memfd(4 * mib).value();
  ASSERT_EQ(f.set(region), 0);
  ASSERT_TRUE(f.memory->set_private(GuestPhysical(0), 4 * mib, true).ok());
  ASSERT_EQ(f.fault(0x3000, SlotFixture::private_access), NpfResolution::mapped_2m);
  for (u64 gpa = 0; gpa < 2 * mib; gpa += page_size) {
    ASSERT_TRUE(f.memory->set_private(GuestPhysical(gpa), page_size, false).ok());
  }
  EXPECT_TRUE(f.port.rmp.empty());
  ASSERT_TRUE(f.memory->set_private(GuestPhysical(0), 2 * mib, true).ok());
  EXPECT_EQ(f.fault(0x3000, SlotFixture::private_access), NpfResolution::mapped_2m);
  EXPECT_EQ(f.port.entry(f.leaf(0x3000)->page.large_page()).page_size, 1);
}

TEST(GuestMemfdSlots, PrivateContentsOutliveTheSlotButNotTheFile) {
  SlotFixture f(VmType::snp);
  const u64 free_before = f.host.memory.free_pages();
  const u32 file = f.memory->create_guest_memfd(4 * mib).value();
  UserMemoryRegion region = f.region(0, 0, 4 * mib);
  region.flags = slot_flag::guest_memfd;
  region.guest_memfd = file;
  ASSERT_EQ(f.set(region), 0);
  ASSERT_TRUE(f.memory->set_private(GuestPhysical(0), 4 * mib, true).ok());
  ASSERT_EQ(f.fault(0x3000, SlotFixture::private_access), NpfResolution::mapped_2m);
  const SystemPhysical page = f.leaf(0x3000)->page;
  ASSERT_EQ(f.remove(0), 0);
  EXPECT_FALSE(f.leaf(0x3000).has_value());
  EXPECT_EQ(f.port.entry(page.large_page()).assigned, 1) << "the RMP entry stays";
  ASSERT_EQ(f.set(region), 0);
  ASSERT_EQ(f.fault(0x3000, SlotFixture::private_access), NpfResolution::mapped_2m);
  EXPECT_EQ(f.leaf(0x3000)->page, page);
  EXPECT_EQ(f.host.users.pages().guest_memfd_pages(), 512u);
  EXPECT_EQ(f.host.mover.compact().guest_memfd, 512u);
  ASSERT_TRUE(f.memory->close_guest_memfd(file).ok());
  EXPECT_FALSE(f.leaf(0x3000).has_value());
  EXPECT_TRUE(f.port.rmp.empty());
  EXPECT_EQ(f.host.users.pages().guest_memfd_pages(), 0u);
  EXPECT_EQ(f.fault(0x3000, SlotFixture::private_access), NpfResolution::no_backing);
  f.memory.reset();
  EXPECT_EQ(f.host.memory.free_pages(), free_before + 1) << "and the root of the nested tables";
}

}  // namespace
}  // namespace softsnp::kvm
