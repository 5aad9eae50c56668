#include "guest/runtime/page_tables.hpp"

#include <gtest/gtest.h>

#include "guest/runtime/vc_memory.hpp"
#include "tests/guest/runtime/simulated_host.hpp"

namespace softsnp::guest {
namespace {

struct World {
  World() {
    host.build_page_tables(SimulatedGuest::tables_offset);
    spare = {&host.object<PageTable>(0x20000), 2};
  }
  bool encrypted(GuestPhysical at) {
    const auto to = memory.translate(GuestVirtual(at.value()), Access::read, false);
    EXPECT_TRUE(to.ok());
    EXPECT_EQ(to->at, at);
    return to->encrypted;
  }
  SimulatedHost host;
  View<PageTable> spare;
  PagedMemory memory{host, {}, 51};
};

TEST(PageTables, SplitsOnlyWhereItMust) {
  World w;
  PageTables tables(w.host, {}, w.spare, 51);
  const GuestPhysical large = w.host.at(SimulatedGuest::large_offset);
  ASSERT_TRUE(tables.set_encrypted({large, 512}, false).ok());
  EXPECT_EQ(tables.tables_left(), 2u);
  EXPECT_FALSE(w.encrypted(large + 0x12345));
  ASSERT_TRUE(tables.set_encrypted({large, 512}, true).ok());
  // Across two blocks: the end of one, the start of the next.
  const PageRange across{large + (large_page_size - 2 * page_size), 5};
  ASSERT_TRUE(tables.set_encrypted(across, false).ok());
  EXPECT_EQ(tables.tables_left(), 0u);
  for (u64 i = 0; i < 9; ++i) {
    const GuestPhysical page = across.first - 2 * page_size + i * page_size;
    EXPECT_EQ(w.encrypted(page), i < 2 || i > 6) << i;
  }
  EXPECT_EQ(w.host.tlb_flushes, 3u);
}

TEST(PageTables, NothingChangesWithoutATable) {
  World w;
  PageTables tables(w.host, {}, {w.spare.data(), 1}, 51);
  const GuestPhysical large = w.host.at(SimulatedGuest::large_offset);
  const PageRange across{large + (large_page_size - page_size), 2};
  const auto result = tables.set_encrypted(across, false);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Cause::no_page_table);
  EXPECT_TRUE(w.encrypted(across.first));
  EXPECT_TRUE(w.encrypted(across.first + page_size));
}

TEST(PageTables, UnmappedMemory) {
  World w;
  PageTables tables(w.host, {}, w.spare, 51);
  EXPECT_FALSE(tables.set_encrypted({GuestPhysical(0x1000), 1}, false).ok());
}

TEST(PagedMemory, FaultsAsTheProcessorWould) {
  World w;
  const GuestVirtual at(w.host.at(0x1000).value());
  const auto user = w.memory.translate(at, Access::write, true);
  ASSERT_FALSE(user.ok());
  EXPECT_EQ(user.error().exception, (Exception{14, true, 7, at.value()}));
  const auto absent = w.memory.translate(GuestVirtual(0x5000), Access::fetch, false);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().exception, (Exception{14, true, 0x10, 0x5000}));
  const auto crooked = w.memory.translate(GuestVirtual(u64{1} << 60), Access::read, false);
  ASSERT_FALSE(crooked.ok());
  EXPECT_EQ(crooked.error().exception, (Exception{13, true, 0, 0}));
}

}  // namespace
}  // namespace softsnp::guest
