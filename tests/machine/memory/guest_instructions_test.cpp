// PVALIDATE, RMPADJUST, RMPQUERY, row by row of hardware sheet 4.6-4.8, and the size matrix of 5.3.
#include "tests/machine/memory/rmp_fixture.hpp"

namespace softsnp::memory {
namespace {

using snp::RmpEntry;
using snp::RmpResult;
namespace permission = snp::permission;

constexpr auto small = PageSize::size_4k;
constexpr auto large = PageSize::size_2m;

class Pvalidate : public RmpTest {
 protected:
  GuestRmpOutcome run(const GuestPage& page, PageSize size = small, bool validate = true) {
    return rmp.pvalidate(page, size, true, validate, 0xFFFF0);
  }
};
class Rmpadjust : public RmpTest {
 protected:
  GuestRmpOutcome run(const GuestPage& page, u64 target, u8 mask, bool vmsa = false,
                      PageSize size = small) {
    return rmp.rmpadjust(page, size, true, target, mask, vmsa, 0xFFFF0);
  }
};
class Rmpquery : public RmpTest {};

// What an operand must be refused for, in the order of the checks; shared by all three.
struct OwnerCase {
  const char* what;
  GuestPage page;
  Rule rule;
};
std::vector<OwnerCase> owner_cases(const GuestPage& good) {
  GuestPage uncovered = good, foreign = good, moved = good;
  uncovered.spa = SystemPhysical{covered_bytes};
  foreign.asker.asid = Asid{6};
  moved.gpa = good.gpa + page_size;
  GuestPage foreign_and_moved = moved;
  foreign_and_moved.asker.asid = Asid{6};
  GuestPage unassigned = good;
  unassigned.spa = good.spa + page_size;
  return {{"not covered", uncovered, Rule::covered},
          {"another ASID", foreign, Rule::guest_owned},
          {"another gPA", moved, Rule::reverse_map},
          {"another ASID and gPA", foreign_and_moved, Rule::guest_owned},
          {"hypervisor page", unassigned, Rule::guest_owned}};
}

TEST_F(Pvalidate, row_2_misaligned_operand_comes_first) {
  const GuestPage nowhere = operand(SystemPhysical{covered_bytes}, guest_gpa);
  EXPECT_EQ(rmp.pvalidate(nowhere, large, false, true, 0).result, RmpResult::fail_input);
  EXPECT_EQ(rmp.pvalidate(nowhere, small, false, true, 0).denied, Rule::covered);
}

TEST_F(Pvalidate, row_5_owner_checks_in_order) {
  make_valid_page();
  for (const OwnerCase& c : owner_cases(operand(page_a, guest_gpa))) {
    EXPECT_EQ(run(c.page).denied, c.rule) << c.what << ": " << name(c.rule);
  }
  ASSERT_EQ(update(page_a, assign(guest_asid, guest_gpa, small, true)), RmpResult::success);
  EXPECT_EQ(run(operand(page_a, guest_gpa)).denied, Rule::is_mutable);
}

TEST_F(Pvalidate, row_8_reports_no_change_and_row_9_changes_nothing_else) {
  make_valid_page();
  const RmpEntry valid = rmp.entry(page_a);
  const unsigned changes = observer.changes;
  EXPECT_TRUE(run(operand(page_a, guest_gpa)).carry);
  EXPECT_EQ(observer.changes, changes);
  const GuestRmpOutcome out = run(operand(page_a, guest_gpa), small, false);
  EXPECT_FALSE(out.carry);
  EXPECT_EQ(out.result, RmpResult::success);
  RmpEntry expected = valid;
  expected.set_validated(false);
  EXPECT_EQ(rmp.entry(page_a), expected);
  EXPECT_EQ(observer.last.cause.agent, RmpAgent::pvalidate);
  EXPECT_EQ(observer.last.cause.rip, 0xFFFF0u);
  EXPECT_EQ(observer.last.cause.asker.asid, guest_asid);
  EXPECT_TRUE(run(operand(page_a, guest_gpa), small, false).carry);
}

TEST_F(Pvalidate, needs_no_vmpl_permission) {
  make_valid_page();
  EXPECT_FALSE(run(operand(page_a, guest_gpa, small, Vmpl::vmpl3), small, false).carry);
  EXPECT_FALSE(rmp.entry(page_a).validated());
}

TEST_F(Pvalidate, a_large_page_is_validated_through_its_base) {
  make_valid_region();
  EXPECT_TRUE(rmp.entry(region_a).validated());
  EXPECT_EQ(rmp.entry(region_a + 0x1000).low, 1u);
}

// Hardware sheet 5.3, second matrix.
struct SizeCase {
  const char* what;
  PageSize nested, rmp, request;
  Rule denied;
  bool sizem;
  RmpResult result;
};
constexpr SizeCase size_matrix[] = {
    {"4K/4K/4K", small, small, small, Rule::none, false, RmpResult::success},
    {"4K/4K/2M", small, small, large, Rule::none, false, RmpResult::fail_sizemismatch},
    {"4K/2M/4K", small, large, small, Rule::page_size, true, RmpResult::success},
    {"4K/2M/2M", small, large, large, Rule::page_size, false, RmpResult::success},
    {"2M/2M/4K", large, large, small, Rule::page_size, true, RmpResult::success},
    {"2M/2M/2M", large, large, large, Rule::none, false, RmpResult::success},
    {"2M/4K/4K", large, small, small, Rule::page_size, false, RmpResult::success},
    {"2M/4K/2M", large, small, large, Rule::none, false, RmpResult::fail_sizemismatch},
};

TEST_F(Pvalidate, rows_6_and_7_size_matrix) {
  for (const SizeCase& c : size_matrix) {
    ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, c.rmp)), RmpResult::success);
    const GuestRmpOutcome out = run(operand(region_a, guest_gpa_2m, c.nested), c.request);
    EXPECT_EQ(out.denied, c.denied) << "nested/RMP/request " << c.what;
    EXPECT_EQ(out.sizem, c.sizem) << "nested/RMP/request " << c.what;
    EXPECT_EQ(out.result, c.result) << "nested/RMP/request " << c.what;
    const bool done = c.denied == Rule::none && c.result == RmpResult::success;
    EXPECT_EQ(rmp.entry(region_a).validated(), done) << c.what;
    ASSERT_EQ(update(region_a, unassign(c.rmp)), RmpResult::success);
  }
}

TEST_F(Rmpadjust, rows_6_and_7_size_matrix) {
  for (const SizeCase& c : size_matrix) {
    ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, c.rmp)), RmpResult::success);
    rmp.pvalidate(operand(region_a, guest_gpa_2m, c.rmp), c.rmp, true, true, 0);
    ASSERT_TRUE(rmp.entry(region_a).validated());
    const GuestRmpOutcome out =
        run(operand(region_a, guest_gpa_2m, c.nested), 1, permission::read, false, c.request);
    EXPECT_EQ(out.denied, c.denied) << "nested/RMP/request " << c.what;
    EXPECT_EQ(out.sizem, c.sizem) << "nested/RMP/request " << c.what;
    EXPECT_EQ(out.result, c.result) << "nested/RMP/request " << c.what;
    ASSERT_EQ(update(region_a, unassign(c.rmp)), RmpResult::success);
  }
}

TEST_F(Rmpadjust, row_2_input_before_row_3_permission) {
  make_valid_page();
  EXPECT_EQ(run(operand(page_a, guest_gpa), 4, 0).result, RmpResult::fail_input);
  EXPECT_EQ(run(operand(page_a, guest_gpa), 0xFF, 0).result, RmpResult::fail_input);
  EXPECT_EQ(rmp.rmpadjust(operand(page_a, guest_gpa), large, false, 0, 0, false, 0).result,
            RmpResult::fail_input);
}

TEST_F(Rmpadjust, row_3_target_must_be_less_privileged_before_any_page_check) {
  make_valid_page();
  EXPECT_EQ(run(operand(page_a, guest_gpa), 0, 0).result, RmpResult::fail_permission);
  EXPECT_EQ(run(operand(page_a, guest_gpa, small, Vmpl::vmpl2), 1, 0).result,
            RmpResult::fail_permission);
  EXPECT_EQ(run(operand(page_a, guest_gpa, small, Vmpl::vmpl2), 2, 0).result,
            RmpResult::fail_permission);
  const GuestPage nowhere = operand(SystemPhysical{covered_bytes}, guest_gpa);
  EXPECT_EQ(run(nowhere, 0, 0).result, RmpResult::fail_permission);
}

TEST_F(Rmpadjust, row_4_owner_checks_in_order) {
  make_valid_page();
  for (const OwnerCase& c : owner_cases(operand(page_a, guest_gpa))) {
    EXPECT_EQ(run(c.page, 1, 0).denied, c.rule) << c.what << ": " << name(c.rule);
  }
  ASSERT_EQ(update(page_a, assign(guest_asid, guest_gpa, small, true)), RmpResult::success);
  EXPECT_EQ(run(operand(page_a, guest_gpa), 1, 0).denied, Rule::is_mutable);
}

TEST_F(Rmpadjust, row_5_not_validated_comes_before_row_6_size) {
  ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, large)), RmpResult::success);
  EXPECT_EQ(run(operand(region_a, guest_gpa_2m, large), 1, 0).denied, Rule::validated);
}

TEST_F(Rmpadjust, row_8_cannot_give_what_it_lacks) {
  make_valid_page();
  ASSERT_EQ(run(operand(page_a, guest_gpa), 1, permission::read).result, RmpResult::success);
  const GuestPage vmpl1 = operand(page_a, guest_gpa, small, Vmpl::vmpl1);
  EXPECT_EQ(run(vmpl1, 2, permission::read | permission::write).result, RmpResult::fail_permission);
  EXPECT_EQ(rmp.entry(page_a).permissions(Vmpl::vmpl2), 0);
  EXPECT_EQ(run(vmpl1, 2, permission::read).result, RmpResult::success);
  EXPECT_EQ(rmp.entry(page_a).permissions(Vmpl::vmpl2), permission::read);
}

TEST_F(Rmpadjust, row_9_write_without_read_is_stored) {
  make_valid_page();
  EXPECT_EQ(run(operand(page_a, guest_gpa), 1, permission::write).result, RmpResult::success);
  EXPECT_EQ(rmp.entry(page_a).permissions(Vmpl::vmpl1), permission::write);
}

TEST_F(Rmpadjust, row_10_vmpl0_rewrites_vmsa_each_time_and_others_never) {
  make_valid_page();
  ASSERT_EQ(run(operand(page_a, guest_gpa), 1, permission::read, true).result, RmpResult::success);
  EXPECT_TRUE(rmp.entry(page_a).vmsa());
  const GuestPage vmpl1 = operand(page_a, guest_gpa, small, Vmpl::vmpl1);
  ASSERT_EQ(run(vmpl1, 2, permission::read, false).result, RmpResult::success);
  EXPECT_TRUE(rmp.entry(page_a).vmsa()) << "above VMPL0 bit 16 is ignored";
  ASSERT_EQ(run(operand(page_a, guest_gpa), 3, 0).result, RmpResult::success);
  EXPECT_FALSE(rmp.entry(page_a).vmsa()) << "a permission tweak un-makes a VMSA";
  EXPECT_EQ(observer.last.cause.agent, RmpAgent::rmpadjust);
}

TEST_F(Rmpquery, reads_mask_size_and_vmsa) {
  make_valid_page();
  ASSERT_EQ(rmp.rmpadjust(operand(page_a, guest_gpa), small, true, 2, 5, true, 0).result,
            RmpResult::success);
  RmpQueryOutput out;
  EXPECT_EQ(rmp.rmpquery(operand(page_a, guest_gpa), 2, out).result, RmpResult::success);
  EXPECT_EQ(out.mask, 5);
  EXPECT_TRUE(out.vmsa);
  EXPECT_EQ(out.size, small);
  EXPECT_EQ(rmp.rmpquery(operand(page_a, guest_gpa), 0, out).result, RmpResult::success);
  EXPECT_EQ(out.mask, permission::all);
}

TEST_F(Rmpquery, refusals) {
  make_valid_page();
  RmpQueryOutput out;
  const GuestPage vmpl2 = operand(page_a, guest_gpa, small, Vmpl::vmpl2);
  EXPECT_EQ(rmp.rmpquery(vmpl2, 1, out).result, RmpResult::fail_permission);
  EXPECT_EQ(rmp.rmpquery(vmpl2, 4, out).result, RmpResult::fail_permission);
  EXPECT_EQ(rmp.rmpquery(vmpl2, 2, out).result, RmpResult::success);
  for (const OwnerCase& c : owner_cases(operand(page_a, guest_gpa))) {
    EXPECT_EQ(rmp.rmpquery(c.page, 1, out).denied, c.rule) << c.what;
  }
  rmp.pvalidate(operand(page_a, guest_gpa), small, true, false, 0);
  EXPECT_EQ(rmp.rmpquery(vmpl2, 2, out).denied, Rule::validated);
}

}  // namespace
}  // namespace softsnp::memory
