// The access decision: which checks apply (hardware sheet 5.2), their priority (5.1, 5.3), VMPL
// permissions (6.1) and VMRUN's page checks (6.3).
#include "tests/machine/memory/rmp_fixture.hpp"

namespace softsnp::memory {
namespace {

using snp::RmpEntry;
using snp::RmpResult;
namespace permission = snp::permission;

constexpr auto small = PageSize::size_4k;
constexpr auto large = PageSize::size_2m;

class Access : public RmpTest {
 protected:
  static AccessRequest ask(AskerKind who, AccessKind kind, bool encrypted,
                           SystemPhysical spa = page_a, GuestPhysical gpa = guest_gpa) {
    AccessRequest request;
    request.asker = Asker{who, who == AskerKind::snp_guest ? guest_asid : Asid::host, Vmpl::vmpl0};
    request.kind = kind;
    request.encrypted = encrypted;
    request.spa = spa;
    request.gpa = gpa;
    return request;
  }
  Rule verdict(AccessRequest request, auto change) {
    change(request);
    return rmp.check(request);
  }
};

// Table 15-37: verdict on a hypervisor page and on a page of another guest.
struct DecisionCase {
  AskerKind who;
  AccessKind kind;
  bool encrypted;
  Rule on_hypervisor_page;
  Rule on_foreign_page;
};
constexpr Rule hv = Rule::hypervisor_owned, owned = Rule::guest_owned, ok = Rule::none;
constexpr DecisionCase decisions[] = {
    {AskerKind::host, AccessKind::read, false, ok, ok},
    {AskerKind::host, AccessKind::read, true, ok, ok},
    {AskerKind::host, AccessKind::fetch, false, ok, ok},
    {AskerKind::host, AccessKind::fetch, true, ok, ok},
    {AskerKind::host, AccessKind::write, false, ok, hv},
    {AskerKind::host, AccessKind::write, true, ok, hv},
    {AskerKind::host, AccessKind::table_walk, false, ok, hv},
    {AskerKind::host, AccessKind::table_walk, true, ok, hv},
    {AskerKind::guest, AccessKind::read, false, ok, ok},
    {AskerKind::guest, AccessKind::read, true, ok, ok},
    {AskerKind::guest, AccessKind::fetch, false, ok, ok},
    {AskerKind::guest, AccessKind::fetch, true, ok, ok},
    {AskerKind::guest, AccessKind::write, false, ok, hv},
    {AskerKind::guest, AccessKind::write, true, ok, hv},
    {AskerKind::guest, AccessKind::table_walk, false, ok, hv},
    {AskerKind::guest, AccessKind::table_walk, true, ok, hv},
    {AskerKind::snp_guest, AccessKind::read, false, ok, ok},
    {AskerKind::snp_guest, AccessKind::write, false, ok, hv},
    {AskerKind::snp_guest, AccessKind::read, true, owned, owned},
    {AskerKind::snp_guest, AccessKind::write, true, owned, owned},
    {AskerKind::snp_guest, AccessKind::fetch, false, owned, owned},
    {AskerKind::snp_guest, AccessKind::fetch, true, owned, owned},
    {AskerKind::snp_guest, AccessKind::table_walk, false, owned, owned},
    {AskerKind::snp_guest, AccessKind::table_walk, true, owned, owned},
    {AskerKind::device, AccessKind::read, false, ok, hv},
    {AskerKind::device, AccessKind::write, false, ok, hv},
};

TEST_F(Access, decision_table) {
  const SystemPhysical foreign = page_a + page_size;
  ASSERT_EQ(update(foreign, assign(Asid{9}, guest_gpa)), RmpResult::success);
  for (const DecisionCase& c : decisions) {
    const auto where = [&] {
      return std::string(name(c.who)) + " " + name(c.kind) + (c.encrypted ? " C=1" : " C=0");
    };
    EXPECT_EQ(rmp.check(ask(c.who, c.kind, c.encrypted, page_a)), c.on_hypervisor_page) << where();
    EXPECT_EQ(rmp.check(ask(c.who, c.kind, c.encrypted, foreign)), c.on_foreign_page) << where();
  }
}

TEST_F(Access, nothing_is_checked_while_disabled) {
  ASSERT_EQ(update(page_a, assign(Asid{9}, guest_gpa)), RmpResult::success);
  rmp.set_enabled(false);
  for (const DecisionCase& c : decisions) {
    EXPECT_EQ(rmp.check(ask(c.who, c.kind, c.encrypted)), Rule::none);
  }
  EXPECT_EQ(rmp.check_host_page(page_a), Rule::none);
  EXPECT_EQ(rmp.check_snp_vmsa(page_a, guest_asid), Rule::none);
}

TEST_F(Access, hypervisor_owned_looks_at_the_whole_region_for_large_mappings) {
  AccessRequest write = ask(AskerKind::host, AccessKind::write, false, region_a + 0x3000);
  write.mapping_size = large;
  EXPECT_EQ(rmp.check(write), Rule::none);
  for (const SystemPhysical other : {region_a, region_a + 511 * page_size}) {
    ASSERT_EQ(update(other, assign(guest_asid, guest_gpa)), RmpResult::success);
    EXPECT_EQ(rmp.check(write), Rule::hypervisor_owned);
    write.mapping_size = small;
    EXPECT_EQ(rmp.check(write), Rule::none);
    write.mapping_size = large;
    ASSERT_EQ(update(other, unassign()), RmpResult::success);
    EXPECT_EQ(rmp.check(write), Rule::none);
  }
  ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, large)), RmpResult::success);
  write.mapping_size = small;
  EXPECT_EQ(rmp.check(write), Rule::hypervisor_owned) << "the tail of a 2M page";
}

TEST_F(Access, pages_without_an_entry_are_the_hypervisors_forever) {
  const SystemPhysical beyond{covered_bytes + 0x100000};
  EXPECT_EQ(rmp.check(ask(AskerKind::host, AccessKind::write, false, beyond)), Rule::none);
  EXPECT_EQ(rmp.check(ask(AskerKind::device, AccessKind::write, false, beyond)), Rule::none);
  EXPECT_EQ(rmp.check(ask(AskerKind::snp_guest, AccessKind::write, false, beyond)), Rule::none);
  EXPECT_EQ(rmp.check(ask(AskerKind::snp_guest, AccessKind::read, true, beyond)), Rule::covered);
  EXPECT_EQ(rmp.check_host_page(beyond), Rule::none);
}

// Each row spoils one more thing than the row below it; the first spoiled check must answer.
TEST_F(Access, private_checks_in_priority_order) {
  ASSERT_EQ(update(page_a, assign(guest_asid, guest_gpa)), RmpResult::success);
  AccessRequest request = ask(AskerKind::snp_guest, AccessKind::read, true);
  request.asker.vmpl = Vmpl::vmpl1;
  rmp.pvalidate(operand(page_a, guest_gpa), small, true, true, 0);
  EXPECT_EQ(rmp.check(request), Rule::vmpl);
  rmp.pvalidate(operand(page_a, guest_gpa), small, true, false, 0);
  EXPECT_EQ(rmp.check(request), Rule::validated);
  request.mapping_size = large;
  EXPECT_EQ(rmp.check(request), Rule::page_size);
  firmware_edit(page_a, [](RmpEntry& e) { e.set_immutable(true); });
  EXPECT_EQ(rmp.check(request), Rule::is_mutable);
  request.gpa = guest_gpa + page_size;
  EXPECT_EQ(rmp.check(request), Rule::reverse_map);
  request.asker.asid = Asid{6};
  EXPECT_EQ(rmp.check(request), Rule::guest_owned);
  request.spa = SystemPhysical{covered_bytes};
  EXPECT_EQ(rmp.check(request), Rule::covered);
}

TEST_F(Access, guest_owned_implies_assigned) {
  AccessRequest request =
      ask(AskerKind::snp_guest, AccessKind::read, true, page_a, GuestPhysical{0});
  request.asker.asid = Asid::host;
  EXPECT_EQ(rmp.check(request), Rule::guest_owned);
}

TEST_F(Access, large_pages_compare_at_their_own_size) {
  make_valid_region();
  AccessRequest request =
      ask(AskerKind::snp_guest, AccessKind::read, true, region_a + 0x5678, guest_gpa_2m + 0x5678);
  EXPECT_EQ(rmp.check(request), Rule::page_size) << "4K nested page, 2M RMP page";
  request.mapping_size = large;
  EXPECT_EQ(rmp.check(request), Rule::none);
  request.gpa = guest_gpa_2m + large_page_size;
  EXPECT_EQ(rmp.check(request), Rule::reverse_map);
}

TEST_F(Access, vmpl_masks) {
  struct MaskCase {
    u8 mask;
    bool read, write, fetch_user, fetch_supervisor;
  };
  const MaskCase cases[] = {
      {0, false, false, false, false},
      {permission::read, true, false, false, false},
      {permission::write, false, false, false, false},
      {permission::read | permission::write, true, true, false, false},
      {permission::execute_user, false, false, true, false},
      {permission::execute_supervisor, false, false, false, true},
      {permission::all, true, true, true, true},
  };
  make_valid_page();
  for (const MaskCase& c : cases) {
    rmp.rmpadjust(operand(page_a, guest_gpa), small, true, 2, c.mask, false, 0);
    const auto allowed = [&](AccessKind kind, bool user) {
      AccessRequest request = ask(AskerKind::snp_guest, kind, true);
      request.asker.vmpl = Vmpl::vmpl2;
      request.user = user;
      const Rule rule = rmp.check(request);
      EXPECT_TRUE(rule == Rule::none || rule == Rule::vmpl) << name(rule);
      return rule == Rule::none;
    };
    for (const bool user : {false, true}) {
      EXPECT_EQ(allowed(AccessKind::read, user), c.read) << "mask " << int{c.mask};
      EXPECT_EQ(allowed(AccessKind::write, user), c.write) << "mask " << int{c.mask};
      EXPECT_EQ(allowed(AccessKind::table_walk, user), c.read) << "mask " << int{c.mask};
    }
    EXPECT_EQ(allowed(AccessKind::fetch, true), c.fetch_user) << "mask " << int{c.mask};
    EXPECT_EQ(allowed(AccessKind::fetch, false), c.fetch_supervisor) << "mask " << int{c.mask};
  }
}

TEST_F(Access, vmrun_pages) {
  EXPECT_EQ(rmp.check_host_page(page_a), Rule::none);
  make_valid_page();
  EXPECT_EQ(rmp.check_host_page(page_a), Rule::hypervisor_owned);
  EXPECT_EQ(rmp.check_snp_vmsa(page_a, guest_asid), Rule::vmsa);
  rmp.rmpadjust(operand(page_a, guest_gpa), small, true, 1, 0, true, 0);
  EXPECT_EQ(rmp.check_snp_vmsa(page_a, guest_asid), Rule::none);
  rmp.pvalidate(operand(page_a, guest_gpa), small, true, false, 0);
  EXPECT_EQ(rmp.check_snp_vmsa(page_a, guest_asid), Rule::none) << "Validated is not in the list";
  EXPECT_EQ(rmp.check_snp_vmsa(page_a, Asid{6}), Rule::guest_owned);
  EXPECT_EQ(rmp.check_snp_vmsa(page_a + page_size, guest_asid), Rule::guest_owned);
  EXPECT_EQ(rmp.check_snp_vmsa(SystemPhysical{covered_bytes}, guest_asid), Rule::covered);
  firmware_edit(page_a, [](RmpEntry& e) { e.set_immutable(true); });
  EXPECT_EQ(rmp.check_snp_vmsa(page_a, guest_asid), Rule::is_mutable);
}

}  // namespace
}  // namespace softsnp::memory
