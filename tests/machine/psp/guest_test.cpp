// Guest contexts, their states and ASIDs (firmware sheet 1.4, 1.6).
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::KeyId;
using memory::PageState;

using GuestTest = PspTest;

TEST_F(GuestTest, gctx_create) {
  EXPECT_EQ(run(Command::snp_gctx_create, SnpGuestContextOnly{context.value()}),
            Status::invalid_platform_state);
  init();
  const auto create = [this](SystemPhysical at) {
    return run(Command::snp_gctx_create, SnpGuestContextOnly{at.value()});
  };
  EXPECT_EQ(create(context + 1), Status::invalid_param);
  EXPECT_EQ(create(context), Status::invalid_page_state) << "a hypervisor page";
  EXPECT_EQ(create(rmp_base), Status::invalid_param) << "in the RMP";
  EXPECT_EQ(create(SystemPhysical(u64{1} << 40)), Status::invalid_address);
  make_firmware(other, PageSize::size_2m);
  EXPECT_EQ(create(other), Status::invalid_page_size);
  make_firmware(context);
  put(context, u64{42});
  EXPECT_EQ(create(context), Status::success);
  EXPECT_EQ(state_of(context), PageState::context);
  EXPECT_EQ(rmp.entry(context).low, 0xA000000000000005u);
  EXPECT_EQ(guest().state, GuestState::init);
  EXPECT_EQ(guest().launch_tcb, encode_tcb(Product::genoa, default_tcb(Product::genoa)));
  EXPECT_NE(get<u64>(context), 42u);
  EXPECT_EQ(create(context), Status::invalid_page_state) << "CONTEXT already";
}

TEST_F(GuestTest, the_c_bit_of_addresses_is_ignored) {
  init();
  make_firmware(context);
  EXPECT_EQ(run(Command::snp_gctx_create, SnpGuestContextOnly{context.value() | bit(51)}),
            Status::success);
  EXPECT_NE(psp.guest(context), nullptr);
}

TEST_F(GuestTest, context_page_is_noise_that_changes) {
  init();
  create_context();
  const auto before = page_bytes(context);
  ASSERT_EQ(launch_start(), Status::success);
  EXPECT_NE(page_bytes(context), before);
}

TEST_F(GuestTest, launch_start_policies) {
  init();
  create_context();
  for (const unsigned reserved : {21u, 22u, 24u, 26u, 63u}) {
    EXPECT_EQ(launch_start(context, default_policy | bit(reserved)), Status::policy_failure);
  }
  EXPECT_EQ(launch_start(context, 0x10000), Status::policy_failure) << "bit 17";
  EXPECT_EQ(launch_start(context, default_policy | 0x0138), Status::policy_failure) << "ABI 1.56";
  EXPECT_EQ(launch_start(context, default_policy | 0x0200), Status::policy_failure) << "ABI 2.0";
  platform.smt = true;
  EXPECT_EQ(launch_start(context, 0x20000), Status::policy_failure) << "SMT";
  platform.smt = false;
  EXPECT_EQ(guest().state, GuestState::init);
  EXPECT_EQ(psp.state().guest_count, 0u);
  EXPECT_EQ(launch_start(context, 0x20137), Status::success) << "ABI 1.55, no SMT";
  EXPECT_EQ(guest().state, GuestState::launch);
  EXPECT_EQ(guest().report_id_ma, [] {
    Key256 key;
    key.fill(0xFF);
    return key;
  }());
  EXPECT_NE(guest().vmpck[0], guest().vmpck[1]);
  EXPECT_EQ(launch_start(), Status::invalid_guest_state) << "LAUNCH already";
}

TEST_F(GuestTest, launch_start_with_migration_agent) {
  init();
  create_context();
  create_context(other);
  auto start = start_command();
  start.flags = SnpLaunchStart::ma_en;
  start.ma_gctx_paddr = other.value();
  ASSERT_EQ(launch_start(other), Status::success);
  EXPECT_EQ(run(Command::snp_launch_start, start), Status::policy_failure) << "no MIGRATE_MA";
  start.policy |= policy::migrate_ma;
  start.ma_gctx_paddr = free_page.value();
  EXPECT_EQ(run(Command::snp_launch_start, start), Status::invalid_guest);
  start.ma_gctx_paddr = other.value() + 8;
  EXPECT_EQ(run(Command::snp_launch_start, start), Status::invalid_param);
  start.ma_gctx_paddr = other.value();
  start.policy |= policy::single_socket;
  EXPECT_EQ(run(Command::snp_launch_start, start), Status::policy_failure) << "agent is not";
  start.policy &= ~policy::single_socket;
  ASSERT_EQ(run(Command::snp_launch_start, start), Status::success);
  EXPECT_EQ(guest().report_id_ma, psp.guest(other)->report_id);

  const SystemPhysical third(0x800000);
  create_context(third);
  start.gctx_paddr = third.value();
  start.ma_gctx_paddr = context.value();
  EXPECT_EQ(run(Command::snp_launch_start, start), Status::policy_failure) << "agent has an agent";
}

TEST_F(GuestTest, activate_checks_in_order) {
  init_and_flush();
  create_context();
  EXPECT_EQ(activate(), Status::invalid_guest_state) << "INIT";
  ASSERT_EQ(launch_start(context, default_policy | policy::single_socket), Status::success);
  EXPECT_EQ(activate(context, Asid{0}), Status::invalid_asid);
  EXPECT_EQ(activate(context, Asid{100}), Status::invalid_asid) << "MIN_SEV_ASID";
  EXPECT_EQ(activate(context, Asid{1007}), Status::invalid_asid);
  EXPECT_EQ(activate(context, Asid{0xFFFFFFFF}), Status::invalid_asid);
  platform.sockets = 2;
  EXPECT_EQ(activate(context, Asid{0}), Status::policy_failure) << "before the ASID's range";
  make_pre_guest(page, 0);
  EXPECT_EQ(activate(), Status::invalid_config) << "before the policy";
  platform.sockets = 1;
  EXPECT_EQ(activate(), Status::invalid_config);
  EXPECT_EQ(activate(context, Asid{6}), Status::success);
  EXPECT_EQ(activate(context, Asid{6}), Status::active);
  EXPECT_EQ(activate(context, Asid{7}), Status::active);
  create_context(other);
  ASSERT_EQ(launch_start(other), Status::success);
  EXPECT_EQ(activate(other, Asid{6}), Status::asid_owned);
  EXPECT_EQ(activate(other, Asid{7}), Status::success);
  EXPECT_EQ(activate(context, Asid{7}), Status::asid_owned) << "before ACTIVE";
}

TEST_F(GuestTest, activate_ex) {
  init_and_flush();
  create_context();
  ASSERT_EQ(launch_start(), Status::success);
  SnpActivateEx command{sizeof(SnpActivateEx), 0, context.value(), 5, 4, free_page.value()};
  auto bad = command;
  bad.length = 0x1C;
  EXPECT_EQ(run(Command::snp_activate_ex, bad), Status::invalid_param);
  bad = command;
  bad.mbz = 1;
  EXPECT_EQ(run(Command::snp_activate_ex, bad), Status::invalid_param);
  bad = command;
  bad.num_ids = 5;
  EXPECT_EQ(run(Command::snp_activate_ex, bad), Status::invalid_param);
  bad = command;
  bad.ids_paddr = dram_bytes - 8;
  EXPECT_EQ(run(Command::snp_activate_ex, bad), Status::invalid_address);
  EXPECT_EQ(run(Command::snp_activate_ex, command), Status::success);
  EXPECT_EQ(guest().asid, asid);
}

TEST_F(GuestTest, activation_installs_the_key) {
  put(page, u64{1234});
  begin_launch();
  make_pre_guest(page, 0x1000);
  ASSERT_EQ(launch_update(PageType::normal, page), Status::success);
  EXPECT_EQ(get<u64>(page, memory::key_of(asid)), 1234u);
  EXPECT_NE(get<u64>(page), 1234u) << "the bus sees ciphertext";
  const auto ciphertext = page_bytes(page);
  ASSERT_EQ(run(Command::snp_decommission, SnpGuestContextOnly{context.value()}), Status::success);
  EXPECT_EQ(page_bytes(page), ciphertext);
  EXPECT_NE(get<u64>(page, memory::key_of(asid)), 1234u) << "the key is gone";
}

TEST_F(GuestTest, asid_states) {
  init();
  create_context();
  ASSERT_EQ(launch_start(), Status::success);
  EXPECT_EQ(activate(), Status::df_flush_required) << "after INIT all are dirty";
  flush_caches();
  ASSERT_EQ(run(Command::snp_df_flush), Status::success);
  ASSERT_EQ(activate(), Status::success);
  EXPECT_EQ(psp.state().asids.state(asid), AsidState::allocated);
  // allocated -> clean
  ASSERT_EQ(run(Command::snp_decommission, SnpGuestContextOnly{context.value()}), Status::success);
  EXPECT_EQ(psp.state().asids.state(asid), AsidState::clean);
  EXPECT_EQ(state_of(context), PageState::firmware);
  EXPECT_EQ(run(Command::snp_df_flush), Status::success) << "nothing ran, nothing to write back";
  // in use -> dirty -> clean
  ASSERT_EQ(run(Command::snp_gctx_create, SnpGuestContextOnly{context.value()}), Status::success);
  ASSERT_EQ(launch_start(), Status::success);
  ASSERT_EQ(activate(), Status::success);
  ASSERT_EQ(launch_finish(), Status::success);
  EXPECT_EQ(psp.state().asids.state(asid), AsidState::in_use);
  EXPECT_EQ(psp.state().guest_count, 1u);
  ASSERT_EQ(run(Command::snp_decommission, SnpGuestContextOnly{context.value()}), Status::success);
  EXPECT_EQ(psp.state().guest_count, 0u);
  EXPECT_EQ(psp.state().asids.state(asid), AsidState::dirty);
  EXPECT_EQ(run(Command::snp_df_flush), Status::wbinvd_required);
  flush_caches();
  EXPECT_EQ(run(Command::snp_df_flush), Status::success);
  EXPECT_EQ(psp.state().asids.state(asid), AsidState::clean);
  EXPECT_EQ(run(Command::snp_decommission, SnpGuestContextOnly{context.value()}),
            Status::invalid_guest);
}

TEST_F(GuestTest, activating_a_running_guest_uses_the_asid_at_once) {
  begin_launch();
  ASSERT_EQ(launch_finish(), Status::success);
  change_state([](PspState& state) {
    state.guests.at(context).asid = Asid::host;
    state.asids.release(asid);
    state.asids.flush();
  });
  ASSERT_EQ(activate(), Status::success);
  EXPECT_EQ(psp.state().asids.state(asid), AsidState::in_use);
}

TEST_F(GuestTest, guest_status) {
  begin_launch(default_policy | policy::debug);
  const auto status_at = [this](SystemPhysical at) {
    return run(Command::snp_guest_status, SnpGuestStatusCommand{context.value(), at.value()});
  };
  EXPECT_EQ(status_at(free_page), Status::invalid_page_state);
  make_firmware(other);
  EXPECT_EQ(status_at(other + 0xFE1), Status::invalid_param);
  ASSERT_EQ(status_at(other), Status::success);
  auto status = get<SnpGuestStatus>(other);
  EXPECT_EQ(status.policy, default_policy | policy::debug);
  EXPECT_EQ(status.asid, 5u);
  EXPECT_EQ(status.state, 1);
  EXPECT_EQ(status.flags, 0);
  SnpLaunchFinish finish{};
  finish.gctx_paddr = context.value();
  finish.flags = SnpLaunchFinish::vcek_dis;
  ASSERT_EQ(run(Command::snp_launch_finish, finish), Status::success);
  ASSERT_EQ(status_at(other), Status::success);
  status = get<SnpGuestStatus>(other);
  EXPECT_EQ(status.state, 2);
  EXPECT_EQ(status.flags, SnpGuestStatus::vcek_dis);
}

TEST_F(GuestTest, equal_seeds_make_equal_guests) {
  begin_launch();
  const GuestContext first = guest();
  memory::Dram other_dram(dram_bytes);
  const auto keys = [](const GuestContext& context) {
    return std::tuple(context.oek, context.vmpck, context.vmrk, context.report_id);
  };
  EXPECT_NE(first.oek, first.vmrk);
  for (const u64 seed : {1, 2}) {
    memory::Rmp other_rmp(other_dram);
    other_rmp.set_range(rmp_base, rmp_base + (rmp_bytes - 1));
    FakePlatform other_platform;
    Psp twin({.seed = seed}, other_dram, other_rmp, other_platform);
    ASSERT_EQ(twin.command(Command::snp_init, buffer), Status::success);
    const snp::RmpUpdate firmware_page{0, 1, 0, 1, 0, 0};
    ASSERT_EQ(other_rmp.rmpupdate(context, firmware_page, Asid::host), snp::RmpResult::success);
    const auto start = start_command();
    other_dram.write(buffer, KeyId::none, {reinterpret_cast<const u8*>(&start), sizeof start});
    ASSERT_EQ(twin.command(Command::snp_gctx_create, buffer), Status::success);
    ASSERT_EQ(twin.command(Command::snp_launch_start, buffer), Status::success);
    EXPECT_EQ(keys(*twin.guest(context)) == keys(first), seed == 1);
  }
}

}  // namespace
}  // namespace softsnp::psp
