// --stats counts what happened, by name.
#include "observe/statistics.hpp"

#include "tests/observe/events.hpp"

namespace softsnp::observe {
namespace {

using nlohmann::json;

TEST(Statistics, CountsByName) {
  Statistics statistics;
  statistics.vmgexit({.name = "MSR"});
  statistics.vmgexit({.name = "MSR"});
  statistics.vc_raised(0x72, 0);
  statistics.vmrun(SystemPhysical(0));
  statistics.delivered({.vector = 14});
  statistics.page_state({GuestPhysical(0), 0x3000, false});
  statistics.page_state({GuestPhysical(0), 0x1000, true});
  const json out = json::parse(statistics.json({}));
  EXPECT_EQ(out["vmgexit"]["MSR"], 2);
  EXPECT_EQ(out["vc"]["0x72"], 1);
  EXPECT_EQ(out["vmrun"], 1);
  EXPECT_EQ(out["delivered"], json({{"14", 1}}));
  EXPECT_EQ(out["page_state"]["bytes_made_shared"], 0x3000);
  EXPECT_EQ(out["page_state"]["bytes_made_private"], 0x1000);
}

TEST(Statistics, TotalsAreTakenOver) {
  Totals totals;
  totals.instructions = 1000;
  totals.block_lookups = 10;
  totals.blocks_built = 4;
  totals.seconds_firmware = 0.5;
  const json out = json::parse(Statistics().json(totals));
  EXPECT_EQ(out["instructions"], 1000);
  EXPECT_EQ(out["blocks"]["hits"], 6);
  EXPECT_EQ(out["seconds"]["firmware"], 0.5);
}

}  // namespace
}  // namespace softsnp::observe
