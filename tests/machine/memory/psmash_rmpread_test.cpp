// PSMASH and RMPREAD, hardware sheet 4.5, 4.8; the firmware's own writes.
#include "tests/machine/memory/rmp_fixture.hpp"

namespace softsnp::memory {
namespace {

using snp::RmpEntry;
using snp::RmpResult;
using snp::RmpUpdate;

class Psmash : public RmpTest {};
class Rmpread : public RmpTest {};
class FirmwareWrite : public RmpTest {};

TEST_F(Psmash, row_1_guest_context) {
  make_valid_region();
  EXPECT_EQ(rmp.psmash(region_a, Asid{1}), RmpResult::fail_permission);
}

TEST_F(Psmash, row_2_misaligned_or_no_entry) {
  make_valid_region();
  EXPECT_EQ(rmp.psmash(region_a + 0x1000, Asid::host), RmpResult::fail_input);
  EXPECT_EQ(rmp.psmash(region_a + 1, Asid::host), RmpResult::fail_input);
  EXPECT_EQ(rmp.psmash(SystemPhysical{covered_bytes}, Asid::host), RmpResult::fail_input);
}

TEST_F(Psmash, row_3_in_use) {
  make_valid_region();
  rmp.begin_use(region_a + 0x7000);
  EXPECT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::fail_inuse);
  rmp.end_use(region_a + 0x7000);
  EXPECT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::success);
}

TEST_F(Psmash, row_4_not_an_assigned_mutable_large_page) {
  EXPECT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::fail_not_eligible) << "hypervisor page";
  ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m)), RmpResult::success);
  EXPECT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::fail_not_eligible) << "4K page";
  ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, PageSize::size_2m, true)),
            RmpResult::success);
  EXPECT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::fail_not_eligible) << "immutable";
}

TEST_F(Psmash, row_5_copies_all_but_size_and_gpa) {
  make_valid_region();
  ASSERT_EQ(rmp.rmpadjust(operand(region_a, guest_gpa_2m, PageSize::size_2m), PageSize::size_2m,
                          true, 1, 5, true, 0)
                .result,
            RmpResult::success);
  const RmpEntry whole = rmp.entry(region_a);
  ASSERT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::success);
  for (u64 i = 0; i < 512; ++i) {
    RmpEntry expected = whole;
    expected.set_size(PageSize::size_4k);
    expected.set_gpa(guest_gpa_2m + i * page_size);
    expected.set_sub_page_count(i == 0 ? 511 : 0);
    ASSERT_EQ(rmp.entry(region_a + i * page_size), expected) << "page " << i;
  }
  EXPECT_EQ(rmp.assigned_pages(guest_asid), 512u);
  EXPECT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::fail_not_eligible) << "already 4K";
}

TEST_F(Psmash, row_6_flushes_the_range) {
  make_valid_region();
  const u64 seen = dram.log().number();
  ASSERT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::success);
  ASSERT_EQ(dram.log().number(), seen + 1);
  EXPECT_EQ(dram.log().at(seen).size, PageSize::size_2m);
  EXPECT_TRUE(dram.log().at(seen).covers(region_a));
  EXPECT_TRUE(dram.log().at(seen).covers(region_a + 511 * page_size));
  EXPECT_FALSE(dram.log().at(seen).covers(region_a + 512 * page_size));
  EXPECT_FALSE(dram.log().at(seen).covers(region_a - page_size));
}

TEST_F(Rmpread, errors) {
  RmpUpdate out;
  EXPECT_EQ(rmp.rmpread(page_a, Asid{1}, out), RmpResult::fail_permission);
  EXPECT_EQ(rmp.rmpread(SystemPhysical{covered_bytes}, Asid::host, out), RmpResult::fail_input);
}

TEST_F(Rmpread, shows_what_software_may_see) {
  make_valid_page();
  RmpUpdate out;
  ASSERT_EQ(rmp.rmpread(page_a, Asid::host, out), RmpResult::success);
  EXPECT_EQ(out.gpa, guest_gpa.value());
  EXPECT_EQ(out.assigned, 1);
  EXPECT_EQ(out.page_size, 2) << "4K, and the region has assigned 4K entries";
  EXPECT_EQ(out.immutable, 0);
  EXPECT_EQ(out.asid, number(guest_asid));
}

TEST_F(Rmpread, large_page_and_its_tail) {
  make_valid_region();
  RmpUpdate out;
  ASSERT_EQ(rmp.rmpread(region_a, Asid::host, out), RmpResult::success);
  EXPECT_EQ(out.page_size, 1);
  EXPECT_EQ(out.gpa, guest_gpa_2m.value());
  ASSERT_EQ(rmp.rmpread(region_a + 0x1000, Asid::host, out), RmpResult::success);
  EXPECT_EQ(out.assigned, 1);
  EXPECT_EQ(out.asid, 0u);
  EXPECT_EQ(out.page_size, 0);
  EXPECT_EQ(out.gpa, 0u);
}

TEST_F(FirmwareWrite, large_pages_get_tails_and_counts) {
  RmpEntry entry;
  entry.set_assigned(true);
  entry.set_asid(guest_asid);
  entry.set_gpa(guest_gpa_2m);
  entry.set_validated(true);
  entry.set_sub_page_count(77);  // not the firmware's to say
  rmp.write_page(region_a, PageSize::size_2m, entry, firmware());
  EXPECT_EQ(page_state(rmp, region_a + 0x9000), PageState::guest_valid);
  EXPECT_EQ(rmp.entry(region_a).sub_page_count(), 0u);
  EXPECT_EQ(rmp.assigned_pages(guest_asid), 512u);
  EXPECT_EQ(observer.last.cause.firmware_command, 0xA0u);
  EXPECT_EQ(observer.last.extent, PageSize::size_2m);
}

TEST_F(FirmwareWrite, unsmashing_replaces_512_entries) {
  make_valid_region();
  const RmpEntry whole = rmp.entry(region_a);
  ASSERT_EQ(rmp.psmash(region_a, Asid::host), RmpResult::success);
  rmp.write_page(region_a, PageSize::size_2m, whole, firmware());
  EXPECT_EQ(rmp.entry(region_a), whole);
  EXPECT_EQ(rmp.entry(region_a + 0x1000).low, 1u);
  EXPECT_EQ(rmp.assigned_pages(guest_asid), 512u);
}

TEST_F(FirmwareWrite, single_entries_keep_the_region_count) {
  ASSERT_EQ(update(region_a + 0x1000, assign(guest_asid, guest_gpa)), RmpResult::success);
  RmpEntry entry;
  entry.set_assigned(true);
  rmp.write_entry(region_a, entry, firmware());
  rmp.write_entry(region_a + 0x2000, entry, firmware());
  EXPECT_EQ(rmp.entry(region_a).sub_page_count(), 2u);
  rmp.write_entry(region_a + 0x1000, RmpEntry{}, firmware());
  EXPECT_EQ(rmp.entry(region_a).sub_page_count(), 1u);
  EXPECT_EQ(rmp.assigned_pages(guest_asid), 0u);
}

TEST_F(FirmwareWrite, beyond_the_table_is_a_broken_invariant) {
  EXPECT_DEATH(rmp.write_entry(SystemPhysical{covered_bytes}, RmpEntry{}, firmware()),
               "broken invariant");
  EXPECT_DEATH(rmp.write_page(region_a + 0x1000, PageSize::size_2m, RmpEntry{}, firmware()),
               "broken invariant");
  EXPECT_DEATH(static_cast<void>(rmp.entry(SystemPhysical{covered_bytes})), "broken invariant");
}

}  // namespace
}  // namespace softsnp::memory
