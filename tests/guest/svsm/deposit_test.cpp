// DEPOSIT_MEM and WITHDRAW_MEM. SVSM sheet 4.5.
#include "tests/guest/svsm/expectations.hpp"

namespace softsnp::svsm::test {
namespace {

constexpr GuestPhysical answer_page{0x500000};

PageEntry deposit(GuestPhysical page, PageSize size = PageSize::size_4k) {
  return PageEntry{page.value() | static_cast<u64>(size)};
}

struct DepositTest : testing::Test {
  u64 give(std::vector<PageEntry> entries) {
    world.put_list(World::list, std::move(entries));
    return world.call(CoreCall::deposit_mem, {0, World::list.value()});
  }
  u64 withdraw(GuestPhysical at = answer_page) {
    return world.call(CoreCall::withdraw_mem, {0, at.value()});
  }
  u16 count(GuestPhysical at = answer_page) const { return world.platform.load<u16>(at); }
  u8 available() const { return world.platform.load<u8>(World::startup_ca + 1); }
  World world;
};

TEST_F(DepositTest, What_was_given_is_closed_and_comes_back_zeroed) {
  const GuestPhysical page = World::free_page;
  world.platform.store(page, u64{7});
  EXPECT_EQ(give({deposit(page)}), 0u);
  EXPECT_EQ(available(), 1);
  expect_closed(world);
  EXPECT_EQ(world.pvalidate_one(PageEntry::make(page, PageSize::size_4k, false)),
            number(ResultCode::invalid_address));
  EXPECT_EQ(withdraw(), 0u);
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(world.platform.load<u64>(answer_page + 8), page.value());
  EXPECT_EQ(world.platform.at(page).permissions[2], full_permissions);
  EXPECT_EQ(world.platform.load<u64>(page), 0u);
  EXPECT_EQ(available(), 0);
  EXPECT_EQ(withdraw(), 0u);
  EXPECT_EQ(count(), 0);
}

TEST_F(DepositTest, A_large_page_comes_back_in_small_ones) {
  EXPECT_EQ(give({deposit(World::large_page, PageSize::size_2m)}), 0u);
  EXPECT_EQ(withdraw(), 0u);
  EXPECT_EQ(count(), 511);
  EXPECT_EQ(available(), 1);
  EXPECT_EQ(withdraw(answer_page + 0xFE8), 0u);
  EXPECT_EQ(count(answer_page + 0xFE8), 1);
  EXPECT_EQ(available(), 0);
  expect_closed(world);
}

TEST_F(DepositTest, Stops_at_the_entry_that_cannot_be_taken) {
  EXPECT_EQ(give({deposit(World::free_page), deposit(own_memory.start)}),
            number(ResultCode::invalid_address));
  EXPECT_EQ(world.list_next(World::list), 1);
  EXPECT_EQ(give({deposit(World::free_page)}), number(ResultCode::invalid_address)) << "twice";
  EXPECT_EQ(give({deposit(World::startup_ca)}), number(ResultCode::invalid_address));
  EXPECT_EQ(give({PageEntry{answer_page.value() | 4}}), number(ResultCode::invalid_parameter));
  EXPECT_EQ(give({PageEntry{answer_page.value() | 2}}), number(ResultCode::invalid_parameter));
  EXPECT_EQ(give({deposit(GuestPhysical(0x600000), PageSize::size_2m)}),
            number(fail_size_mismatch));
  EXPECT_EQ(world.platform.at(GuestPhysical(0x600000)).permissions[2], full_permissions);
}

TEST_F(DepositTest, The_answer_page_must_be_the_guests) {
  EXPECT_EQ(withdraw(answer_page + 0xFF8), number(ResultCode::invalid_parameter));
  EXPECT_EQ(withdraw(answer_page + 4), number(ResultCode::invalid_parameter));
  EXPECT_EQ(withdraw(own_memory.start), number(ResultCode::invalid_address));
  EXPECT_EQ(withdraw(World::startup_vmsa), number(ResultCode::invalid_address));
}

TEST_F(DepositTest, There_is_an_end_to_separate_deposits) {
  u64 result = 0;
  for (u64 n = 0; n < 1000 && result == 0; ++n) {
    result = give({deposit(GuestPhysical(0x400000 + 2 * n * page_size))});
  }
  EXPECT_EQ(result, number(ResultCode::invalid_request));
  expect_closed(world);
}

}  // namespace
}  // namespace softsnp::svsm::test
