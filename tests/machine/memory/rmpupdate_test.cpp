// RMPUPDATE, row by row of hardware sheet 4.4.
#include "machine/memory/rmp/describe.hpp"
#include "tests/machine/memory/rmp_fixture.hpp"

namespace softsnp::memory {
namespace {

using snp::RmpEntry;
using snp::RmpResult;
using snp::RmpUpdate;

class Rmpupdate : public RmpTest {};

TEST_F(Rmpupdate, row_2_guest_context_has_no_permission_before_any_other_check) {
  EXPECT_EQ(rmp.rmpupdate(page_a, assign(guest_asid, guest_gpa), Asid{1}),
            RmpResult::fail_permission);
  RmpUpdate bad = assign(guest_asid, guest_gpa, PageSize::size_2m);
  EXPECT_EQ(rmp.rmpupdate(SystemPhysical{covered_bytes + 0x1000}, bad, Asid{1}),
            RmpResult::fail_permission);
  EXPECT_EQ(rmp.entry(page_a), RmpEntry{});
}

TEST_F(Rmpupdate, row_4_large_page_must_be_aligned) {
  EXPECT_EQ(update(region_a + 0x1000, assign(guest_asid, guest_gpa_2m, PageSize::size_2m)),
            RmpResult::fail_input);
  EXPECT_EQ(update(region_a + 0x1000, unassign(PageSize::size_2m)), RmpResult::fail_input);
}

TEST_F(Rmpupdate, row_5_unassigned_is_neither_immutable_nor_owned) {
  RmpUpdate fixed = unassign();
  fixed.immutable = 1;
  EXPECT_EQ(update(page_a, fixed), RmpResult::fail_input);
  RmpUpdate owned = unassign();
  owned.asid = 1;
  EXPECT_EQ(update(page_a, owned), RmpResult::fail_input);
}

TEST_F(Rmpupdate, out_of_range_asid_and_gpa_fail_input_and_reserved_bits_are_ignored) {
  EXPECT_EQ(update(page_a, assign(Asid{snp::max_asid + 1}, guest_gpa)), RmpResult::fail_input);
  EXPECT_EQ(update(page_a, assign(Asid{0x80000001}, guest_gpa)), RmpResult::fail_input);
  EXPECT_EQ(update(page_a, assign(guest_asid, GuestPhysical{bit(51)})), RmpResult::fail_input);
  EXPECT_EQ(update(page_a, assign(Asid{snp::max_asid}, GuestPhysical{bit(50)})),
            RmpResult::success);
  RmpUpdate reserved = assign(guest_asid, guest_gpa + 0xFFF);
  reserved.reserved = 0xFF;
  reserved.assigned = 0xFF;
  reserved.page_size = 0xFE;
  reserved.immutable = 0xFE;
  EXPECT_EQ(update(page_a + 0x1000, reserved), RmpResult::success);
  EXPECT_EQ(rmp.entry(page_a + 0x1000).gpa(), guest_gpa);
  EXPECT_FALSE(rmp.entry(page_a + 0x1000).immutable());
}

TEST_F(Rmpupdate, row_6_no_entry_beyond_the_end) {
  const SystemPhysical last{covered_bytes - page_size};
  EXPECT_TRUE(rmp.covered(last));
  EXPECT_FALSE(rmp.covered(last + page_size));
  EXPECT_EQ(update(last, assign(guest_asid, guest_gpa)), RmpResult::success);
  EXPECT_EQ(update(last + page_size, assign(guest_asid, guest_gpa)), RmpResult::fail_input);
  EXPECT_EQ(update(SystemPhysical{~u64{0}}, unassign()), RmpResult::fail_input);
}

TEST_F(Rmpupdate, row_6_a_large_page_needs_all_its_entries) {
  rmp.set_range(rmp_base, rmp_end - 16);
  EXPECT_FALSE(rmp.covered(SystemPhysical{covered_bytes - page_size}));
  EXPECT_EQ(update(SystemPhysical{covered_bytes - large_page_size},
                   assign(guest_asid, guest_gpa_2m, PageSize::size_2m)),
            RmpResult::fail_input);
}

TEST_F(Rmpupdate, row_7_in_use_pages_are_refused_until_released) {
  rmp.begin_use(page_a);
  rmp.begin_use(page_a + 8);
  EXPECT_EQ(update(page_a, assign(guest_asid, guest_gpa)), RmpResult::fail_inuse);
  EXPECT_EQ(update(SystemPhysical{0}, assign(guest_asid, guest_gpa_2m, PageSize::size_2m)),
            RmpResult::fail_inuse);
  EXPECT_EQ(update(page_a + page_size, assign(guest_asid, guest_gpa)), RmpResult::success)
      << "a neighbour in the same 2M region is not in use";
  rmp.end_use(page_a);
  EXPECT_TRUE(rmp.in_use(page_a));
  rmp.end_use(page_a);
  EXPECT_FALSE(rmp.in_use(page_a));
  EXPECT_EQ(update(page_a, assign(guest_asid, guest_gpa)), RmpResult::success);
}

TEST_F(Rmpupdate, row_7_comes_before_row_8) {
  ASSERT_EQ(update(page_a, assign(guest_asid, guest_gpa, PageSize::size_4k, true)),
            RmpResult::success);
  rmp.begin_use(page_a);
  EXPECT_EQ(update(page_a, unassign()), RmpResult::fail_inuse);
  rmp.end_use(page_a);
  EXPECT_EQ(update(page_a, unassign()), RmpResult::fail_permission);
}

TEST_F(Rmpupdate, row_7_a_bare_lock_means_an_update_in_progress_but_the_firmwares_copy_does_not) {
  ASSERT_EQ(update(page_a, assign(Asid::host, GuestPhysical{0})), RmpResult::success);
  firmware_edit(page_a, [](RmpEntry& e) { e.set_locked(true); });
  EXPECT_EQ(update(page_a, unassign()), RmpResult::fail_inuse);
  firmware_edit(page_a, [](RmpEntry& e) { e.set_immutable(true); });
  EXPECT_EQ(page_state(rmp, page_a), PageState::firmware);
  EXPECT_EQ(update(page_a, unassign()), RmpResult::fail_permission);
}

TEST_F(Rmpupdate, row_8_immutable_pages_stay) {
  ASSERT_EQ(update(page_a, assign(Asid::host, GuestPhysical{0}, PageSize::size_4k, true)),
            RmpResult::success);
  const RmpEntry before = rmp.entry(page_a);
  EXPECT_EQ(update(page_a, unassign()), RmpResult::fail_permission);
  EXPECT_EQ(update(page_a, assign(guest_asid, guest_gpa)), RmpResult::fail_permission);
  EXPECT_EQ(rmp.entry(page_a), before);
}

TEST_F(Rmpupdate, row_9_small_update_of_a_large_page_overlaps_at_base_and_tail) {
  make_valid_region();
  EXPECT_EQ(update(region_a, assign(guest_asid, guest_gpa)), RmpResult::fail_overlap);
  EXPECT_EQ(update(region_a, unassign()), RmpResult::fail_overlap);
  EXPECT_EQ(update(region_a + 0x5000, unassign()), RmpResult::fail_overlap);
  EXPECT_EQ(update(region_a + 0x5000, assign(Asid{9}, guest_gpa)), RmpResult::fail_overlap);
}

TEST_F(Rmpupdate, row_10_large_update_over_small_pages_overlaps) {
  ASSERT_EQ(update(region_a + 0x5000, assign(guest_asid, guest_gpa)), RmpResult::success);
  EXPECT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, PageSize::size_2m)),
            RmpResult::fail_overlap);
  EXPECT_EQ(update(region_a, unassign(PageSize::size_2m)), RmpResult::fail_overlap);
  ASSERT_EQ(update(region_a + 0x5000, unassign()), RmpResult::success);
  EXPECT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, PageSize::size_2m)),
            RmpResult::success);
}

TEST_F(Rmpupdate, row_10_does_not_count_tails_of_the_old_large_page) {
  make_valid_region();
  EXPECT_EQ(update(region_a, unassign(PageSize::size_2m)), RmpResult::success);
  EXPECT_EQ(rmp.entry(region_a), RmpEntry{});
  EXPECT_EQ(rmp.entry(region_a + 0x5000), RmpEntry{});
}

TEST_F(Rmpupdate, a_large_page_does_not_swallow_an_hv_fixed_tail) {
  RmpEntry fixed;
  fixed.set_immutable(true);
  rmp.write_page(region_a + 0x5000, PageSize::size_4k, fixed, firmware());
  EXPECT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, PageSize::size_2m)),
            RmpResult::fail_permission);
  EXPECT_EQ(page_state(rmp, region_a + 0x5000), PageState::hv_fixed);
}

TEST_F(Rmpupdate, row_11_tails_repeat_assigned_and_hold_nothing_else) {
  make_valid_region();
  RmpEntry tail;
  tail.set_assigned(true);
  for (u64 offset = page_size; offset < large_page_size; offset += page_size) {
    ASSERT_EQ(rmp.entry(region_a + offset), tail);
  }
  EXPECT_EQ(rmp.entry(region_a).sub_page_count(), 0u);
  EXPECT_EQ(rmp.effective_entry(region_a + 0x5000), rmp.entry(region_a));
}

TEST_F(Rmpupdate, row_12_unassigning_stores_zeros) {
  make_valid_page();
  EXPECT_EQ(update(page_a, unassign()), RmpResult::success);
  EXPECT_EQ(rmp.entry(page_a), RmpEntry{});
}

TEST_F(Rmpupdate, row_13_a_changed_mapping_starts_over) {
  struct Case {
    const char* changed;
    RmpUpdate to;
  };
  const Case cases[] = {
      {"gPA", assign(guest_asid, guest_gpa + page_size)},
      {"ASID", assign(Asid{6}, guest_gpa)},
      {"ASID 0", assign(Asid::host, guest_gpa)},
  };
  for (const Case& c : cases) {
    ASSERT_EQ(update(page_a, unassign()), RmpResult::success);
    make_valid_page();
    ASSERT_EQ(
        rmp.rmpadjust(operand(page_a, guest_gpa), PageSize::size_4k, true, 1, 7, true, 0).result,
        RmpResult::success);
    ASSERT_EQ(update(page_a, c.to), RmpResult::success) << c.changed;
    const RmpEntry entry = rmp.entry(page_a);
    EXPECT_FALSE(entry.validated()) << c.changed;
    EXPECT_FALSE(entry.vmsa()) << c.changed;
    EXPECT_EQ(entry.high, 0xFFu) << c.changed << ": VMPL0 everything, VMPL1-3 nothing";
  }
}

TEST_F(Rmpupdate, row_13_a_changed_size_starts_over) {
  ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m)), RmpResult::success);
  rmp.pvalidate(operand(region_a, guest_gpa_2m), PageSize::size_4k, true, true, 0);
  ASSERT_TRUE(rmp.entry(region_a).validated());
  ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, PageSize::size_2m)),
            RmpResult::success);
  EXPECT_FALSE(rmp.entry(region_a).validated());
}

TEST_F(Rmpupdate, row_14_only_immutable_changes) {
  make_valid_page();
  ASSERT_EQ(
      rmp.rmpadjust(operand(page_a, guest_gpa), PageSize::size_4k, true, 2, 3, true, 0).result,
      RmpResult::success);
  RmpEntry expected = rmp.entry(page_a);
  expected.set_immutable(true);
  EXPECT_EQ(update(page_a, assign(guest_asid, guest_gpa, PageSize::size_4k, true)),
            RmpResult::success);
  EXPECT_EQ(rmp.entry(page_a), expected);
  EXPECT_EQ(page_state(rmp, page_a), PageState::pre_swap);
}

TEST_F(Rmpupdate, row_15_counts_sub_pages_and_owners) {
  for (u64 i = 0; i < 3; ++i) {
    ASSERT_EQ(update(region_a + i * page_size, assign(guest_asid, guest_gpa + i * page_size)),
              RmpResult::success);
  }
  EXPECT_EQ(rmp.entry(region_a).sub_page_count(), 2u) << "the base does not count itself";
  EXPECT_EQ(rmp.assigned_pages(guest_asid), 3u);
  ASSERT_EQ(update(region_a, unassign()), RmpResult::success);
  EXPECT_EQ(rmp.entry(region_a).sub_page_count(), 2u) << "the count survives a base update";
  ASSERT_EQ(update(region_a + page_size, unassign()), RmpResult::success);
  ASSERT_EQ(update(region_a + 2 * page_size, unassign()), RmpResult::success);
  EXPECT_EQ(rmp.entry(region_a), RmpEntry{});
  EXPECT_EQ(rmp.assigned_pages(guest_asid), 0u);
  make_valid_region();
  EXPECT_EQ(rmp.assigned_pages(guest_asid), 512u);
}

TEST_F(Rmpupdate, counters_lie_in_the_bookkeeping_area_and_entries_behind_it) {
  make_valid_page();
  u64 counter = 0;
  dram.read(rmp_base + number(guest_asid) * 8, KeyId::none,
            std::span(reinterpret_cast<u8*>(&counter), 8));
  EXPECT_EQ(counter, 1u);
  RmpEntry stored;
  dram.read(rmp_base + snp::rmp_bookkeeping_bytes + page_a.page_number() * 16, KeyId::none,
            std::span(reinterpret_cast<u8*>(&stored), 16));
  EXPECT_EQ(stored, rmp.entry(page_a));
  EXPECT_EQ(stored.low, 1 | guest_gpa.value() | u64{5} << 51 | bit(62));
}

TEST_F(Rmpupdate, logs_and_reports_what_changed) {
  const u64 generation = rmp.generation();
  u64 seen = dram.log().number();
  ASSERT_EQ(update(page_a, assign(guest_asid, guest_gpa)), RmpResult::success);
  EXPECT_GT(rmp.generation(), generation);
  ASSERT_EQ(dram.log().number(), seen + 1);
  EXPECT_EQ(dram.log().at(seen).change, Change::rmp_entry);
  EXPECT_TRUE(dram.log().at(seen).covers(page_a));
  EXPECT_TRUE(dram.log().at(seen).covers(page_a + page_size))
      << "the first assigned page of a region changes verdicts of 2M mappings to all of it";
  seen = dram.log().number();
  ASSERT_EQ(update(page_a + page_size, assign(guest_asid, guest_gpa)), RmpResult::success);
  EXPECT_TRUE(dram.log().at(seen).covers(page_a + page_size));
  EXPECT_FALSE(dram.log().at(seen).covers(page_a));
  EXPECT_EQ(observer.changes, 2u);
  EXPECT_EQ(observer.last.page, page_a + page_size);
  EXPECT_EQ(observer.last.before, RmpEntry{});
  EXPECT_EQ(observer.last.after, rmp.entry(page_a + page_size));
  EXPECT_EQ(observer.last.cause.agent, RmpAgent::rmpupdate);
}

TEST_F(Rmpupdate, the_sheets_worked_example_of_the_range) {
  Dram large(64 * large_page_size);
  Rmp table(large);
  table.set_range(SystemPhysical{0x100000}, SystemPhysical{0x1103FFF});
  EXPECT_TRUE(table.covered(SystemPhysical{(u64{4} << 30) - 1}));
  EXPECT_FALSE(table.covered(SystemPhysical{u64{4} << 30}));
}

TEST_F(Rmpupdate, hostile_ranges_cover_nothing_they_cannot_hold) {
  const struct {
    const char* what;
    u64 base, end;
  } cases[] = {
      {"zero", 0, 0},
      {"end before base", 0x100000, 0x1000},
      {"base beyond DRAM", u64{1} << 40, (u64{1} << 40) + 0x100000},
      {"wraps around", ~u64{0} - 0xFFF, ~u64{0}},
      {"bookkeeping only", 0x100000, 0x103FFF},
  };
  for (const auto& c : cases) {
    rmp.set_range(SystemPhysical{c.base}, SystemPhysical{c.end});
    EXPECT_FALSE(rmp.covered(SystemPhysical{0})) << c.what;
    EXPECT_EQ(update(SystemPhysical{0}, assign(guest_asid, guest_gpa)), RmpResult::fail_input)
        << c.what;
    EXPECT_EQ(rmp.assigned_pages(guest_asid), 0u) << c.what;
  }
  rmp.set_range(rmp_base, SystemPhysical{~u64{0}});
  EXPECT_FALSE(rmp.covered(SystemPhysical{u64{1} << 40})) << "entries end where DRAM ends";
}

}  // namespace
}  // namespace softsnp::memory
