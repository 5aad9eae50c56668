// SNP_PAGE_RECLAIM, SNP_PAGE_UNSMASH, SNP_PAGE_SET_STATE and the debug commands (firmware sheet
// 1.6, hardware sheet 3.3).
#include "machine/psp/vmsa_protection.hpp"
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::PageState;

const memory::RmpCause firmware_cause{memory::RmpAgent::firmware, {}, 0, 0};

class ReclaimTest : public PspTest {
 protected:
  Status reclaim(SystemPhysical at, PageSize size = PageSize::size_4k) {
    return run(Command::snp_page_reclaim, SnpPageReclaim{at.value() | static_cast<u64>(size)});
  }
};

TEST_F(ReclaimTest, transitions) {
  init();
  make_firmware(page);
  EXPECT_EQ(reclaim(page), Status::success);
  EXPECT_EQ(state_of(page), PageState::reclaim);
  EXPECT_EQ(rmp.entry(page).low, 1u);
  EXPECT_EQ(reclaim(page), Status::success) << "mutable already";
  EXPECT_EQ(reclaim(free_page), Status::success) << "hypervisor";

  make_pre_guest(page + page_size, 0x3000);
  EXPECT_EQ(reclaim(page + page_size), Status::success);
  EXPECT_EQ(state_of(page + page_size), PageState::guest_invalid);
  EXPECT_EQ(rmp.entry(page + page_size).gpa(), GuestPhysical(0x3000));

  make_pre_guest(other, 0x5000);
  change_entry(other, [](snp::RmpEntry& entry) { entry.set_validated(true); });
  ASSERT_EQ(state_of(other), PageState::pre_swap);
  EXPECT_EQ(reclaim(other), Status::success);
  EXPECT_EQ(state_of(other), PageState::guest_valid);

  snp::RmpEntry metadata = firmware_entry();
  metadata.set_gpa(memory::metadata_gpa(context));
  rmp.write_entry(other + page_size, metadata, firmware_cause);
  ASSERT_EQ(state_of(other + page_size), PageState::metadata);
  EXPECT_EQ(reclaim(other + page_size), Status::success);
  EXPECT_EQ(state_of(other + page_size), PageState::reclaim);
}

TEST_F(ReclaimTest, refusals) {
  init_and_flush();
  create_context();
  EXPECT_EQ(reclaim(context), Status::invalid_page_state) << "decommission first";
  EXPECT_EQ(reclaim(outside), Status::invalid_page_state) << "no RMP entry";
  EXPECT_EQ(reclaim(rmp_base), Status::invalid_param);
  EXPECT_EQ(reclaim(SystemPhysical(u64{1} << 40)), Status::invalid_address);
  rmp.write_entry(other, hv_fixed_entry(), firmware_cause);
  EXPECT_EQ(reclaim(other), Status::invalid_page_state);
  make_firmware(page, PageSize::size_2m);
  EXPECT_EQ(reclaim(page), Status::invalid_page_size);
  EXPECT_EQ(reclaim(page + page_size, PageSize::size_2m), Status::invalid_address);
  EXPECT_EQ(reclaim(context, PageSize::size_2m), Status::invalid_page_size);
  EXPECT_EQ(state_of(page + page_size), PageState::firmware);
  EXPECT_EQ(reclaim(page, PageSize::size_2m), Status::success);
  EXPECT_EQ(state_of(page + page_size), PageState::reclaim);
  EXPECT_EQ(run(Command::snp_decommission, SnpGuestContextOnly{context.value()}), Status::success);
  EXPECT_EQ(reclaim(context), Status::success);
  EXPECT_EQ(rmp.rmpupdate(context, {}, Asid::host), snp::RmpResult::success);
}

class UnsmashTest : public PspTest {
 protected:
  Status unsmash(SystemPhysical at) {
    return run(Command::snp_page_unsmash, SnpPageUnsmash{at.value()});
  }
  void make_512() {
    init();
    for (u64 n = 0; n < 512; ++n) {
      make_pre_guest(page + n * page_size, 0x40000000 + n * page_size);
    }
  }
};

TEST_F(UnsmashTest, joins_512_pages) {
  make_512();
  ASSERT_EQ(unsmash(page), Status::success);
  EXPECT_EQ(rmp.entry(page).size(), PageSize::size_2m);
  EXPECT_EQ(rmp.entry(page).gpa(), GuestPhysical(0x40000000));
  EXPECT_EQ(rmp.entry(page).sub_page_count(), 0u);
  EXPECT_EQ(rmp.entry(page + page_size).low, 1u);
  EXPECT_EQ(state_of(page + 0x1FF000), PageState::pre_guest);
  EXPECT_EQ(rmp.assigned_pages(asid), 512u);
  EXPECT_EQ(unsmash(page), Status::invalid_page_state) << "2M already";
}

TEST_F(UnsmashTest, any_odd_page_spoils_it) {
  make_512();
  EXPECT_EQ(unsmash(page + page_size), Status::invalid_param);
  EXPECT_EQ(unsmash(rmp_base), Status::invalid_address);
  EXPECT_EQ(unsmash(SystemPhysical(dram_bytes)), Status::invalid_address);
  EXPECT_EQ(unsmash(other), Status::invalid_page_state);
  using Spoil = void (*)(snp::RmpEntry&);
  const Spoil spoils[] = {
      [](snp::RmpEntry& e) { e.set_immutable(false); },
      [](snp::RmpEntry& e) { e.set_vmsa(true); },
      [](snp::RmpEntry& e) { e.set_asid(Asid{9}); },
      [](snp::RmpEntry& e) { e.set_validated(true); },
      [](snp::RmpEntry& e) { e.set_permissions(Vmpl::vmpl2, 1); },
      [](snp::RmpEntry& e) { e.set_gpa(e.gpa() + page_size); },
      [](snp::RmpEntry& e) { e.set_assigned(false); },
  };
  for (const u64 n : {u64{0}, u64{1}, u64{511}}) {
    const snp::RmpEntry good = rmp.entry(page + n * page_size);
    for (const Spoil spoil : spoils) {
      change_entry(page + n * page_size, spoil);
      EXPECT_EQ(unsmash(page), Status::invalid_page_state) << n;
      rmp.write_entry(page + n * page_size, good, firmware_cause);
    }
  }
  EXPECT_EQ(unsmash(page), Status::success);
}

TEST_F(UnsmashTest, gpas_must_start_on_2m) {
  init();
  for (u64 n = 0; n < 512; ++n) {
    make_pre_guest(page + n * page_size, 0x40001000 + n * page_size);
  }
  EXPECT_EQ(unsmash(page), Status::invalid_page_state);
}

class SetStateTest : public PspTest {
 protected:
  Status set_state(std::initializer_list<RangeListEntry> ranges) {
    put(free_page, RangeListHeader{static_cast<u32>(ranges.size()), 0});
    SystemPhysical at = free_page + sizeof(RangeListHeader);
    for (const RangeListEntry& range : ranges) {
      put(at, range);
      at = at + sizeof range;
    }
    return run(Command::snp_page_set_state, SnpPageSetState{0x10, 0, free_page.value()});
  }
};

TEST_F(SetStateTest, firmware_becomes_hv_fixed) {
  init();
  make_firmware(page);
  make_firmware(page + page_size);
  make_firmware(other, PageSize::size_2m);
  EXPECT_EQ(set_state({{page.value(), 2, 0}, {other.value(), 512, 0}}), Status::success);
  EXPECT_EQ(state_of(page), PageState::hv_fixed);
  EXPECT_EQ(state_of(page + page_size), PageState::hv_fixed);
  EXPECT_EQ(state_of(page + 2 * page_size), PageState::hypervisor);
  EXPECT_EQ(state_of(other), PageState::hv_fixed);
  EXPECT_EQ(state_of(other + 511 * page_size), PageState::hv_fixed);
}

TEST_F(SetStateTest, nothing_changes_if_one_page_is_wrong) {
  init();
  make_firmware(page);
  make_firmware(other, PageSize::size_2m);
  EXPECT_EQ(set_state({{page.value(), 1, 0}, {other.value() + large_page_size, 1, 0}}),
            Status::invalid_page_state);
  EXPECT_EQ(set_state({{page.value(), 1, 0}, {rmp_base.value(), 1, 0}}), Status::invalid_address);
  EXPECT_EQ(set_state({{page.value(), 1, 0}, {other.value(), 5, 0}}), Status::invalid_page_size);
  EXPECT_EQ(set_state({{page.value(), 1, 0}, {other.value() + page_size, 1, 0}}),
            Status::invalid_param)
      << "not 2M aligned";
  EXPECT_EQ(set_state({{page.value(), 0xFFFFFFFF, 0}}), Status::invalid_address)
      << "runs into the RMP";
  EXPECT_EQ(set_state({{u64{1} << 40, 0xFFFFFFFF, 0}}), Status::invalid_page_state);
  EXPECT_EQ(run(Command::snp_page_set_state, SnpPageSetState{0x11, 0, free_page.value()}),
            Status::invalid_length);
  EXPECT_EQ(run(Command::snp_page_set_state, SnpPageSetState{0x10, 0, u64{1} << 50}),
            Status::invalid_param);
  EXPECT_EQ(state_of(page), PageState::firmware);
}

class DebugTest : public PspTest {
 protected:
  void begin(u64 extra = policy::debug) {
    begin_launch(default_policy | extra);
    put(page, u64{0x1122334455667788});
    make_pre_guest(page, 0x5000);
    ASSERT_EQ(launch_update(PageType::normal, page), Status::success);
    make_firmware(other);
  }
  Status debug(Command command, SystemPhysical from, SystemPhysical to) {
    return run(command, SnpDebug{context.value(), from.value(), to.value()});
  }
};

TEST_F(DebugTest, decrypt) {
  begin();
  ASSERT_EQ(debug(Command::snp_dbg_decrypt, page, other), Status::success);
  EXPECT_EQ(get<u64>(other), 0x1122334455667788u);
  EXPECT_EQ(state_of(page), PageState::guest_valid);
  EXPECT_EQ(debug(Command::snp_dbg_decrypt, page, free_page), Status::invalid_page_state);
  EXPECT_EQ(debug(Command::snp_dbg_decrypt, free_page, other), Status::invalid_page_state);
}

TEST_F(DebugTest, encrypt) {
  begin();
  put(free_page, u64{42});
  EXPECT_EQ(debug(Command::snp_dbg_encrypt, free_page, page), Status::invalid_page_state)
      << "GUEST_VALID";
  change_entry(page, [](snp::RmpEntry& entry) { entry.set_immutable(true); });
  ASSERT_EQ(debug(Command::snp_dbg_encrypt, free_page, page), Status::success);
  EXPECT_EQ(get<u64>(page, memory::key_of(asid)), 42u);
  EXPECT_NE(get<u64>(page), 42u);
}

TEST_F(DebugTest, policy_then_activity) {
  begin(0);
  EXPECT_EQ(debug(Command::snp_dbg_decrypt, page, other), Status::policy_failure);
  EXPECT_EQ(get<u64>(other), 0u);
  // Inactive: its ASID is 0, so any guest page is someone else's; only a page of ASID 0 passes.
  change_state([](PspState& state) { state.guests.at(context).asid = Asid::host; });
  EXPECT_EQ(debug(Command::snp_dbg_decrypt, page, other), Status::invalid_page_owner);
}

TEST_F(DebugTest, a_part_of_a_2m_page) {
  begin();
  const SystemPhysical large(0x800000);
  put(large + 3 * page_size, u64{99});
  make_pre_guest(large, 0x40000000, PageSize::size_2m);
  ASSERT_EQ(launch_update(PageType::unmeasured, large, PageSize::size_2m), Status::success);
  ASSERT_EQ(debug(Command::snp_dbg_decrypt, large + 3 * page_size, other), Status::success);
  EXPECT_EQ(get<u64>(other), 99u);
}

TEST_F(DebugTest, register_protection_is_taken_off_and_put_on) {
  begin();
  const SystemPhysical vmsa_page(0x800000);
  svm::Vmsa vmsa = qemu_vmsa(0xFFFFFFF0, 0xA10F10, 1 | bit(14));
  vmsa.rsp = 0xABCD;
  put(vmsa_page, vmsa);
  make_pre_guest(vmsa_page, 0xFFFFFFFFF000);
  ASSERT_EQ(launch_update(PageType::vmsa, vmsa_page), Status::success);
  ASSERT_NE(get<svm::Vmsa>(vmsa_page, memory::key_of(asid)).rsp, 0xABCDu);
  ASSERT_EQ(debug(Command::snp_dbg_decrypt, vmsa_page, other), Status::success);
  auto seen = get<svm::Vmsa>(other);
  EXPECT_EQ(seen.rsp, 0xABCDu);
  EXPECT_EQ(seen.rip, vmsa.rip);
  seen.rsp = 0x7777;
  put(free_page, seen);
  change_entry(vmsa_page, [](snp::RmpEntry& entry) { entry.set_immutable(true); });
  ASSERT_EQ(debug(Command::snp_dbg_encrypt, free_page, vmsa_page), Status::success);
  const auto stored = get<svm::Vmsa>(vmsa_page, memory::key_of(asid));
  EXPECT_EQ(stored.rsp, 0x7777u ^ stored.reg_prot_nonce);
}

}  // namespace
}  // namespace softsnp::psp
