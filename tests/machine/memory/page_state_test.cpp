// Page states (hardware sheet 3.3): examples, mutual exclusion, transitions; words for people.
#include "machine/memory/rmp/describe.hpp"
#include "tests/machine/memory/rmp_fixture.hpp"

namespace softsnp::memory {
namespace {

using snp::RmpEntry;
using snp::RmpResult;

class PageStates : public RmpTest {};

TEST_F(PageStates, the_sheets_example_values) {
  const struct {
    u64 low;
    PageState state;
  } examples[] = {
      {0, PageState::hypervisor},
      {4, PageState::hv_fixed},
      {0x8000000000000005, PageState::firmware},
      {5, PageState::firmware},
      {1, PageState::reclaim},
      {0xA000000000000005, PageState::context},
      {0x8000000000000001, PageState::invalid},  // Reclaim's lock must be 0
  };
  for (const auto& example : examples) {
    EXPECT_STREQ(name(state_of(RmpEntry{example.low, 0})), name(example.state));
  }
}

TEST_F(PageStates, rows_exclude_each_other) {
  const GuestPhysical gpas[] = {GuestPhysical{0}, GuestPhysical{0x1000},
                                metadata_gpa(SystemPhysical{0x7000}), firmware_iommu_gpa,
                                GuestPhysical{0xFFFFFFFFF000}};
  unsigned named = 0;
  for (unsigned bits = 0; bits < 64; ++bits) {
    for (const GuestPhysical gpa : gpas) {
      RmpEntry entry;
      entry.set_assigned((bits & 1) != 0);
      entry.set_validated((bits & 2) != 0);
      entry.set_asid(Asid{(bits & 4) != 0 ? 3u : 0u});
      entry.set_immutable((bits & 8) != 0);
      entry.set_vmsa((bits & 16) != 0);
      entry.set_locked((bits & 32) != 0);
      entry.set_gpa(gpa);
      unsigned rows = 0;
      for (const PageStateRow& row : page_state_table) {
        rows += agrees(row, entry) ? 1 : 0;
      }
      EXPECT_LE(rows, 1u) << describe(entry);
      named += rows;
    }
  }
  EXPECT_GT(named, 0u);
}

TEST_F(PageStates, metadata_names_its_context) {
  RmpEntry entry;
  entry.set_assigned(true);
  entry.set_immutable(true);
  entry.set_gpa(metadata_gpa(SystemPhysical{0xABCD000}));
  EXPECT_EQ(state_of(entry), PageState::metadata);
  EXPECT_EQ(metadata_context(entry), SystemPhysical{0xABCD000});
  entry.set_gpa(firmware_iommu_gpa);
  EXPECT_EQ(state_of(entry), PageState::firmware_iommu);
}

TEST_F(PageStates, transitions_by_instructions) {
  EXPECT_EQ(page_state(rmp, SystemPhysical{covered_bytes}), PageState::default_);
  EXPECT_EQ(page_state(rmp, page_a), PageState::hypervisor);
  ASSERT_EQ(update(page_a, assign(Asid::host, GuestPhysical{0}, PageSize::size_4k, true)),
            RmpResult::success);
  EXPECT_EQ(page_state(rmp, page_a), PageState::firmware);
  firmware_edit(page_a, [](RmpEntry& e) { e = RmpEntry{1, 0}; });
  EXPECT_EQ(page_state(rmp, page_a), PageState::reclaim);
  ASSERT_EQ(update(page_a, assign(guest_asid, guest_gpa)), RmpResult::success);
  EXPECT_EQ(page_state(rmp, page_a), PageState::guest_invalid);
  rmp.pvalidate(operand(page_a, guest_gpa), PageSize::size_4k, true, true, 0);
  EXPECT_EQ(page_state(rmp, page_a), PageState::guest_valid);
  ASSERT_EQ(update(page_a, assign(guest_asid, guest_gpa, PageSize::size_4k, true)),
            RmpResult::success);
  EXPECT_EQ(page_state(rmp, page_a), PageState::pre_swap);
  ASSERT_EQ(update(page_a + page_size, assign(guest_asid, guest_gpa, PageSize::size_4k, true)),
            RmpResult::success);
  EXPECT_EQ(page_state(rmp, page_a + page_size), PageState::pre_guest);
  make_valid_region();
  EXPECT_EQ(page_state(rmp, region_a + 0x1FF000), PageState::guest_valid) << "tail of a 2M page";
}

TEST_F(PageStates, history_names_who_changed_a_page) {
  EXPECT_FALSE(rmp.history().last(page_a).has_value());
  make_valid_page();
  make_valid_region();
  const auto last = rmp.history().last(page_a + 0x123);
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->cause.agent, RmpAgent::pvalidate);
  EXPECT_EQ(last->after, rmp.entry(page_a));
  EXPECT_EQ(rmp.history().changes_of(page_a, 10).size(), 2u);
  EXPECT_EQ(rmp.history().changes_of(page_a, 1).size(), 1u);
  const auto tail = rmp.history().last(region_a + 5 * page_size);
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->page, region_a);
  EXPECT_EQ(tail->sequence, rmp.generation());
  EXPECT_FALSE(rmp.history().last(region_a - page_size).has_value());
}

TEST_F(PageStates, history_is_bounded_and_keeps_the_newest) {
  make_valid_page();
  for (u64 i = 0; i < RmpHistory::capacity; ++i) {
    rmp.write_entry(region_a, RmpEntry{i % 2, 0}, firmware());
  }
  // The first write changed nothing and was not recorded, so one record of page_a is left.
  EXPECT_EQ(rmp.history().changes_of(page_a, 10).size(), 1u);
  rmp.write_entry(region_a, RmpEntry{}, firmware());
  EXPECT_FALSE(rmp.history().last(page_a).has_value());
  EXPECT_EQ(rmp.history().changes_of(region_a, ~usize{0}).size(), RmpHistory::capacity);
  EXPECT_EQ(rmp.history().last(region_a)->after, RmpEntry{});
}

TEST_F(PageStates, words) {
  EXPECT_EQ(describe(RmpEntry{}), "Hypervisor");
  make_valid_page();
  rmp.rmpadjust(operand(page_a, guest_gpa), PageSize::size_4k, true, 1, 5, true, 0x4242);
  EXPECT_EQ(describe(rmp.entry(page_a)),
            "Guest-Valid, ASID 5, gPA 0x12345000, 4K, VMPL0 rwusk VMPL1 r-u-- VMPL2 ----- VMPL3 "
            "-----, VMSA");
  EXPECT_EQ(describe(rmp.history().last(page_a)->cause),
            "RMPADJUST by SNP guest ASID 5 VMPL0 at RIP 0x4242");
  EXPECT_NE(describe(*rmp.history().last(page_a)).find("sPA 0x3000 (4K): RMPADJUST"),
            std::string::npos);
  EXPECT_EQ(describe(firmware()), "firmware command 0xa0");
  EXPECT_STREQ(name(RmpResult::fail_overlap), "FAIL_OVERLAP");
}

}  // namespace
}  // namespace softsnp::memory
