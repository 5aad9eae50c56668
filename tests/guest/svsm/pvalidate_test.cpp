// SVSM sheet 4.2.
#include "tests/guest/svsm/expectations.hpp"

namespace softsnp::svsm::test {
namespace {

constexpr auto small = PageSize::size_4k, large = PageSize::size_2m;

PageEntry rescind(GuestPhysical page, PageSize size = small, bool ignore = false) {
  return PageEntry::make(page, size, false, ignore);
}
PageEntry validate(GuestPhysical page, PageSize size = small, bool ignore = false) {
  return PageEntry::make(page, size, true, ignore);
}

TEST(Pvalidate, Rescinds_and_takes_every_permission) {
  World world;
  EXPECT_EQ(world.pvalidate_one(rescind(World::free_page)), 0u);
  const FakePage& page = world.platform.at(World::free_page);
  EXPECT_FALSE(page.validated);
  EXPECT_EQ(page.permissions, (std::array<u8, 4>{0xFF, 0, 0, 0}));
  EXPECT_EQ(world.list_next(World::list), 1);
  expect_closed(world);
}

TEST(Pvalidate, Makes_every_vcpu_drop_its_translations) {
  World world;
  world.platform.store(World::startup_vmsa + 0x3D8, u64{1});
  EXPECT_EQ(world.pvalidate_one(rescind(World::free_page)), 0u);
  EXPECT_EQ(world.platform.load<u64>(World::startup_vmsa + 0x3D8), 0u);
}

TEST(Pvalidate, Validates_zeroed_and_grants_the_guest_alone) {
  World world;
  ASSERT_EQ(world.pvalidate_one(rescind(World::free_page)), 0u);
  world.platform.store(World::free_page + 0x800, u64{0x5EC2E7});
  ASSERT_EQ(world.pvalidate_one(validate(World::free_page)), 0u);
  EXPECT_EQ(world.platform.load<u64>(World::free_page + 0x800), 0u);
  EXPECT_FALSE(world.platform.zeroed_while_granted);
  EXPECT_EQ(world.platform.at(World::free_page).permissions,
            (std::array<u8, 4>{0xFF, 0, full_permissions, 0}));
}

TEST(Pvalidate, No_change_is_an_error_unless_ignored) {
  World world;
  EXPECT_EQ(world.pvalidate_one(validate(World::free_page)), number(fail_no_change));
  EXPECT_EQ(world.state.failed.count, 1u);
  EXPECT_EQ(world.state.failed.entry.value, validate(World::free_page).value);
  EXPECT_EQ(world.state.failed.result, fail_no_change);
  EXPECT_EQ(world.list_next(World::list), 0);
  EXPECT_EQ(world.pvalidate_one(validate(World::free_page, small, true)), 0u);
  ASSERT_EQ(world.pvalidate_one(rescind(World::free_page)), 0u);
  EXPECT_EQ(world.pvalidate_one(rescind(World::free_page)), number(fail_no_change));
  EXPECT_EQ(world.pvalidate_one(rescind(World::free_page, small, true)), 0u);
}

TEST(Pvalidate, A_large_entry_over_small_pages_is_a_size_mismatch_that_the_guest_can_skip) {
  World world;
  const GuestPhysical block(0x600000);
  world.put_list(World::list, {rescind(block, large), rescind(World::free_page)});
  EXPECT_EQ(world.call(CoreCall::pvalidate, {0, World::list.value()}), number(fail_size_mismatch));
  EXPECT_EQ(world.list_next(World::list), 0);
  EXPECT_EQ(world.state.failed.count, 0u) << "expected of guests";
  EXPECT_TRUE(world.platform.at(block).validated);
  EXPECT_EQ(world.platform.at(block).permissions[2], full_permissions);
  world.platform.store(World::list + 2, u16{1});
  EXPECT_EQ(world.call(CoreCall::pvalidate, {0, World::list.value()}), 0u);
  EXPECT_FALSE(world.platform.at(World::free_page).validated);
}

TEST(Pvalidate, Large_pages_both_ways) {
  World world;
  ASSERT_EQ(world.pvalidate_one(rescind(World::large_page, large)), 0u);
  EXPECT_FALSE(world.platform.at(World::large_page + 0x1FF000).validated);
  ASSERT_EQ(world.pvalidate_one(validate(World::large_page, large)), 0u);
  EXPECT_EQ(world.platform.at(World::large_page + 0x1FF000).permissions[2], full_permissions);
}

TEST(Pvalidate, Long_work_comes_in_parts) {
  World world;
  // One block again and again: 32 MiB are what one call does.
  std::vector<PageEntry> entries(20, validate(World::large_page, large, true));
  world.put_list(World::list, entries);
  EXPECT_EQ(world.call(CoreCall::pvalidate, {0, World::list.value()}),
            number(ResultCode::incomplete));
  EXPECT_EQ(world.list_next(World::list), 16);
  EXPECT_EQ(world.call(CoreCall::pvalidate, {0, World::list.value()}), 0u);
  EXPECT_EQ(world.list_next(World::list), 20);
}

TEST(Pvalidate, Refused_addresses_come_before_refused_formats) {
  World world;
  ASSERT_EQ(
      (world.make_vmsa_image(World::new_vmsa), world.create(World::new_vmsa, World::other_ca, 1)),
      0u);
  const u64 bad_address = number(ResultCode::invalid_address);
  const u64 bad_parameter = number(ResultCode::invalid_parameter);
  for (const GuestPhysical page :
       {own_memory.start, own_memory.start + 0x1FF000, World::new_vmsa, World::startup_ca,
        World::other_ca, GuestPhysical(0xA0000), GuestPhysical(memory_bytes),
        World::free_page + bit(51), GuestPhysical(~page_offset_mask)}) {
    EXPECT_EQ(world.pvalidate_one(rescind(page)), bad_address) << std::hex << page.value();
    EXPECT_EQ(world.pvalidate_one(PageEntry{rescind(page).value | 0x10}), bad_address);
  }
  EXPECT_EQ(world.pvalidate_one(rescind(own_memory.start, large)), bad_address);
  EXPECT_EQ(world.pvalidate_one(rescind(World::new_vmsa.large_page(), large)), bad_address);
  EXPECT_EQ(world.pvalidate_one(rescind(own_memory.start - 0x1000, large)), bad_address);
  EXPECT_EQ(world.pvalidate_one(rescind(World::free_page + 0x1000, large)), bad_parameter);
  for (const u64 wrong : {u64{2}, u64{3}, bit(4), bit(11)}) {
    EXPECT_EQ(world.pvalidate_one(PageEntry{World::free_page.value() | wrong}), bad_parameter);
  }
  EXPECT_TRUE(world.platform.at(World::free_page).validated);
  expect_closed(world);
}

TEST(Pvalidate, The_lists_own_rules) {
  World world;
  const auto call = [&](u64 at) { return world.call(CoreCall::pvalidate, {0, at}); };
  const u64 bad_parameter = number(ResultCode::invalid_parameter);
  const auto header = [&](GuestPhysical at, u16 entries, u16 next) {
    world.platform.store(at, PageListHeader{entries, next, 0});
  };
  EXPECT_EQ(call(World::list.value() + 4), bad_parameter);
  header(World::list, 0, 0);
  EXPECT_EQ(call(World::list.value()), bad_parameter);
  header(World::list, 2, 2);
  EXPECT_EQ(call(World::list.value()), bad_parameter);
  header(World::list, 512, 0);
  EXPECT_EQ(call(World::list.value()), bad_parameter);
  header(World::list + 0xFF8, 1, 0);
  EXPECT_EQ(call(World::list.value() + 0xFF8), bad_parameter);
  EXPECT_EQ(call(own_memory.start.value()), number(ResultCode::invalid_address));
  EXPECT_EQ(call(World::startup_vmsa.value()), number(ResultCode::invalid_address));
  EXPECT_EQ(call(0xA0000), number(ResultCode::invalid_address));
  EXPECT_EQ(call(~u64{7}), number(ResultCode::invalid_address));
}

TEST(Pvalidate, A_list_in_the_calling_area_is_read_once) {
  World world;
  const GuestPhysical at = World::startup_ca + 8;
  world.put_list(at, {rescind(World::free_page), rescind(World::free_page + 0x1000)});
  EXPECT_EQ(world.call(CoreCall::pvalidate, {0, at.value()}), 0u);
  EXPECT_EQ(world.platform.reads[at.value()], 1u);
  EXPECT_EQ(world.platform.reads[at.value() + 8], 1u);
}

TEST(Pvalidate, A_list_that_rescinds_its_own_page_ends_with_an_address_error) {
  World world;
  EXPECT_EQ(world.pvalidate_one(rescind(World::list)), number(ResultCode::invalid_address));
  expect_closed(world);
}

TEST(Pvalidate, A_page_that_is_shared_with_the_host_is_no_address) {
  World world;
  world.platform.at(World::free_page).assigned = false;
  EXPECT_EQ(world.pvalidate_one(validate(World::free_page)), number(ResultCode::invalid_address));
}

}  // namespace
}  // namespace softsnp::svsm::test
