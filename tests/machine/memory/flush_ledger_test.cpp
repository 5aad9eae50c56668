#include "machine/memory/flush_ledger.hpp"

#include <gtest/gtest.h>

#include "machine/memory/dram/invalidation_log.hpp"

namespace softsnp::memory {
namespace {

TEST(WbinvdLedger, each_core_flushes_what_was_deactivated_before) {
  WbinvdLedger ledger;
  EXPECT_TRUE(ledger.all_flushed());
  ledger.asid_deactivated(Asid{1}, 2);
  EXPECT_FALSE(ledger.all_flushed());
  ledger.wbinvd(0);
  ledger.asid_deactivated(Asid{2}, 2);
  ledger.wbinvd(1);
  EXPECT_TRUE(ledger.all_flushed(Asid{1}));
  EXPECT_FALSE(ledger.all_flushed(Asid{2})) << "core 0 flushed before ASID 2 was given up";
  EXPECT_FALSE(ledger.all_flushed());
  const WbinvdLedger copy = ledger;
  ledger.wbinvd(7);
  EXPECT_EQ(ledger, copy);
  ledger.wbinvd(0);
  EXPECT_TRUE(ledger.all_flushed());
  EXPECT_FALSE(copy.all_flushed());
}

TEST(InvalidationLog, a_reader_that_fell_behind_knows) {
  InvalidationLog log;
  const u64 start = log.number();
  for (u64 i = 0; i < InvalidationLog::capacity; ++i) {
    log.append(SystemPhysical{i * page_size}, Change::form);
  }
  EXPECT_TRUE(log.holds_since(start));
  EXPECT_EQ(log.at(start).page_number, 0u);
  log.append(SystemPhysical{0}, Change::form);
  EXPECT_FALSE(log.holds_since(start));
  EXPECT_TRUE(log.holds_since(start + 1));
  const u64 now = log.number();
  EXPECT_TRUE(log.holds_since(now));
  log.append_everything();
  EXPECT_FALSE(log.holds_since(now));
  EXPECT_TRUE(log.holds_since(log.number()));
}

}  // namespace
}  // namespace softsnp::memory
