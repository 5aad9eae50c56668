// The legacy platform's states: INIT, INIT_EX, SHUTDOWN, and how it goes with SNP. Firmware sheet
// 7.1, 1.4, 1.6.
#include "tests/machine/psp/sev_fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::PageState;
namespace msr = x86::msr;

using SevPlatformTest = SevTest;

TEST_F(SevPlatformTest, states) {
  EXPECT_EQ(sev_state(), SevPlatformState::uninit);
  EXPECT_EQ(run(Command::shutdown), Status::success) << "any state";
  sev_init();
  EXPECT_EQ(sev_state(), SevPlatformState::init);
  EXPECT_EQ(status().config_flags, SevPlatformStatus::config_es);
  EXPECT_EQ(status().owner, 0);
  EXPECT_EQ(run(Command::init, init_command()), Status::invalid_platform_state);
  EXPECT_EQ(run(Command::platform_reset), Status::invalid_platform_state);
  const u32 handle = started();
  EXPECT_EQ(sev_state(), SevPlatformState::working);
  EXPECT_EQ(status().guest_count, 1u);
  EXPECT_EQ(of_handle(Command::decommission, handle), Status::success);
  EXPECT_EQ(sev_state(), SevPlatformState::init);
  EXPECT_EQ(run(Command::shutdown), Status::success);
  EXPECT_EQ(sev_state(), SevPlatformState::uninit);
  EXPECT_EQ(status().config_flags, 0);
  EXPECT_EQ(run(Command::nop), Status::success);
  EXPECT_EQ(run(Command::platform_reset), Status::success);
}

TEST_F(SevPlatformTest, shutdown_drops_guests_and_their_keys) {
  sev_init();
  const u32 handle = running();
  const Bytes text = pattern(64);
  dram.write(memory_at, memory::key_of(sev_asid), text);
  ASSERT_EQ(run(Command::shutdown), Status::success);
  EXPECT_EQ(psp.sev_guest(handle), nullptr);
  EXPECT_NE(bytes_at(memory_at, 64, memory::key_of(sev_asid)), text);
  EXPECT_EQ(run(Command::df_flush), Status::wbinvd_required) << "a running guest's ASID";
}

TEST_F(SevPlatformTest, init_checks_processor_and_tmr) {
  SevInit command = init_command();
  command.mbz_02[3] = 1;
  EXPECT_EQ(run(Command::init, command), Status::invalid_param);
  EXPECT_EQ(run(Command::init, init_command(2)), Status::invalid_param);
  const auto good = platform.msrs;
  platform.msrs[{0, msr::syscfg}] = 0;
  EXPECT_EQ(run(Command::init, init_command()), Status::hwerror_platform);
  platform.msrs[{0, msr::syscfg}] = 0x3880000;
  EXPECT_EQ(run(Command::init, init_command()), Status::invalid_platform_state)
      << "SNPEn, but no RMP";
  platform.msrs = good;
  without_snp();
  const auto with_tmr = [&](u64 base, u32 bytes) {
    SevInit init = init_command();
    init.tmr_paddr = base;
    init.tmr_len = bytes;
    return run(Command::init, init);
  };
  EXPECT_EQ(with_tmr(tmr.value() + 0x1000, 0x100000), Status::invalid_config);
  EXPECT_EQ(with_tmr(tmr.value(), 0xFF000), Status::invalid_config);
  EXPECT_EQ(with_tmr(tmr.value(), 0x180000), Status::invalid_config);
  EXPECT_EQ(with_tmr(u64{1} << 40, 0x100000), Status::invalid_config);
  EXPECT_EQ(with_tmr(rmp_base.value(), 0x100000), Status::invalid_config);
  EXPECT_EQ(run(Command::init, init_command(0)), Status::success) << "without ES: no TMR";
  u32 handle = 0;
  EXPECT_EQ(start(es, handle), Status::unsupported);
  EXPECT_EQ(start(0, handle), Status::success);
}

// The fixture's SYSCFG has SNPEn; a live RMP makes INIT possible.
TEST_F(SevPlatformTest, with_snp_the_tmr_is_firmware_memory) {
  init_and_flush();
  SevInit command = init_command();
  EXPECT_EQ(run(Command::init, command), Status::invalid_config) << "1 MiB";
  command.tmr_len = large_page_size;
  EXPECT_EQ(run(Command::init, command), Status::invalid_config) << "hypervisor pages";
  make_firmware(tmr, PageSize::size_2m);
  ASSERT_EQ(run(Command::init, command), Status::success);
  EXPECT_EQ(run(Command::snp_shutdown), Status::invalid_platform_state);
  EXPECT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 0}), Status::invalid_platform_state);
  EXPECT_EQ(run(Command::snp_page_reclaim, SnpPageReclaim{tmr.value() | 1}),
            Status::invalid_address)
      << "the TMR is in use";
  put(tmr, SevGuestStatus{});
  EXPECT_EQ(psp.command(Command::guest_status, tmr), Status::invalid_address);
  EXPECT_EQ(psp.command(Command::guest_status, rmp_base), Status::invalid_param);
  EXPECT_EQ(state_of(rmp_base), PageState::firmware);
  EXPECT_EQ(state_of(tmr), PageState::firmware);
  ASSERT_EQ(run(Command::shutdown), Status::success);
  EXPECT_EQ(run(Command::snp_page_reclaim, SnpPageReclaim{tmr.value() | 1}), Status::success);
  EXPECT_EQ(run(Command::snp_shutdown), Status::success);
}

TEST_F(SevPlatformTest, snp_init_needs_sev_uninit) {
  sev_init();
  for (unsigned core = 0; core < platform.cores; ++core) {
    platform.msrs[{core, msr::syscfg}] = 0x3880000;
  }
  EXPECT_EQ(run(Command::snp_init), Status::invalid_platform_state);
  EXPECT_EQ(run(Command::snp_init_ex, SnpInitEx{}), Status::invalid_platform_state);
  ASSERT_EQ(run(Command::shutdown), Status::success);
  EXPECT_EQ(run(Command::snp_init), Status::success);
}

// ASIDs are dirty after INIT unless SNP has followed them since SNP_INIT.
TEST_F(SevPlatformTest, asids_after_init) {
  without_snp();
  ASSERT_EQ(run(Command::init, init_command()), Status::success);
  const u32 handle = started();
  EXPECT_EQ(activate(handle, sev_asid), Status::df_flush_required);
  EXPECT_EQ(run(Command::df_flush), Status::wbinvd_required);
  flush();
  EXPECT_EQ(activate(handle, sev_asid), Status::success);
}

TEST_F(SevPlatformTest, init_ex_keeps_the_identity_in_the_hosts_buffer) {
  init_and_flush();
  make_firmware(tmr, PageSize::size_2m);
  constexpr SystemPhysical nv{0xC00000};
  const Bytes fresh(SevInitEx::nv_bytes, 0xFF);
  fill(nv, fresh);
  SevInitEx command{};
  command.length = sizeof command;
  command.flags = SevInit::es;
  command.tmr_paddr = tmr.value();
  command.tmr_len = large_page_size;
  command.nv_paddr = nv.value();
  command.nv_len = SevInitEx::nv_bytes;
  const auto with = [&](auto change) {
    SevInitEx changed = command;
    change(changed);
    return run(Command::init_ex, changed);
  };
  EXPECT_EQ(with([](auto& c) { c.length = 0x20; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& c) { c.nv_len = 0x7000; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& c) { c.nv_paddr += 0x10; }), Status::invalid_address);
  EXPECT_EQ(with([](auto& c) { c.mbz_14 = 1; }), Status::invalid_param);
  EXPECT_EQ(run(Command::init_ex, command), Status::invalid_page_state) << "hypervisor pages";
  for (u64 at = 0; at < SevInitEx::nv_bytes; at += page_size) {
    make_firmware(nv + at);
  }
  EXPECT_EQ(with([](auto& c) { c.nv_paddr = tmr.value(); }), Status::invalid_address);
  ASSERT_EQ(run(Command::init_ex, command), Status::success);
  const SevCertificate pdh = exported_pdh();
  const Bytes stored = bytes_at(nv, SevInitEx::nv_bytes);
  EXPECT_NE(stored, fresh);
  ASSERT_EQ(run(Command::shutdown), Status::success);
  ASSERT_EQ(run(Command::init_ex, command), Status::success);
  EXPECT_EQ(std::memcmp(&pdh, std::make_unique<SevCertificate>(exported_pdh()).get(), sizeof pdh),
            0);
  // PDH_GEN goes there too; the old buffer brings the old key back.
  ASSERT_EQ(run(Command::pdh_gen), Status::success);
  EXPECT_NE(bytes_at(nv, SevInitEx::nv_bytes), stored);
  ASSERT_EQ(run(Command::shutdown), Status::success);
  Bytes spoilt = stored;
  spoilt[0x100] ^= 1;
  fill(nv, spoilt);
  EXPECT_EQ(run(Command::init_ex, command), Status::secure_data_invalid);
  EXPECT_EQ(sev_state(), SevPlatformState::uninit);
  EXPECT_EQ(run(Command::init_ex, command), Status::success) << "Linux tries a second time";
  ASSERT_EQ(run(Command::shutdown), Status::success);
  // Another chip cannot open it.
  Psp other({.seed = 2}, dram, rmp, platform);
  PspState state = other.state();
  state.platform = PlatformState::init;
  state.rmp_initialised = true;
  other.restore(state);
  put(buffer, command);
  EXPECT_EQ(other.command(Command::init_ex, buffer), Status::secure_data_invalid);
}

TEST_F(SevPlatformTest, state_is_a_value) {
  snp_and_sev_init();
  const PspState before = psp.state();
  const u32 handle = running();
  const PspState after = psp.state();
  psp.restore(before);
  EXPECT_EQ(psp.sev_guest(handle), nullptr);
  EXPECT_EQ(sev_state(), SevPlatformState::init);
  psp.restore(after);
  EXPECT_EQ(state_of_guest(handle), SevGuestState::running);
}

TEST_F(SevPlatformTest, get_id_of_two_sockets) {
  SevGetId command{output.value(), 0x80};
  ASSERT_EQ(run(Command::get_id, command), Status::success);
  const Bytes one = bytes_at(output, 0x80);
  EXPECT_EQ(Bytes(one.begin() + 0x40, one.end()), Bytes(0x40));
  platform.sockets = 2;
  ASSERT_EQ(run(Command::get_id, command), Status::success);
  const Bytes both = bytes_at(output, 0x80);
  EXPECT_TRUE(std::equal(one.begin(), one.begin() + 0x40, both.begin()));
  EXPECT_NE(Bytes(both.begin() + 0x40, both.end()), Bytes(0x40));
  init();
  command = {0, 0};
  put(outside, command);
  EXPECT_EQ(psp.command(Command::get_id, outside), Status::invalid_length) << "a question";
  EXPECT_EQ(get<SevGetId>(outside).length, 0x40u);
  command = {output.value(), 0x40};
  put(outside, command);
  EXPECT_EQ(psp.command(Command::get_id, outside), Status::invalid_page_state);
}

}  // namespace
}  // namespace softsnp::psp
