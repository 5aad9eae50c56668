// Platform commands and the platform's state machine (firmware sheet 1.4, 1.6).
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::PageState;
namespace msr = x86::msr;

using PlatformTest = PspTest;

TEST_F(PlatformTest, init_sets_up_the_rmp) {
  EXPECT_EQ(psp.state().platform, PlatformState::uninit);
  init();
  EXPECT_EQ(psp.state().platform, PlatformState::init);
  EXPECT_EQ(state_of(SystemPhysical(0)), PageState::hypervisor);
  EXPECT_EQ(state_of(rmp_base), PageState::firmware);
  EXPECT_EQ(state_of(rmp_base + (rmp_bytes - 1)), PageState::firmware);
  EXPECT_EQ(state_of(rmp_base + rmp_bytes), PageState::hypervisor);
  EXPECT_EQ(state_of(outside), PageState::default_);
  EXPECT_EQ(rmp.entry(rmp_base).low & ~mask_bits(11, 3), firmware_entry().low);
  EXPECT_EQ(run(Command::snp_init), Status::invalid_platform_state);
}

TEST_F(PlatformTest, init_fixes_listed_and_smm_ranges) {
  for (unsigned core = 0; core < platform.cores; ++core) {
    platform.msrs[{core, 0xC0010112}] = 0x800000;
    platform.msrs[{core, 0xC0010113}] = 0xFFFFFFC00000 | 3;  // 4 MiB of TSEG, and ASEG
  }
  put(free_page, RangeListHeader{2, 0});
  put(free_page + 8, RangeListEntry{0x5000, 2, 0});
  put(free_page + 24, RangeListEntry{0x9000, 1, 0});
  SnpInitEx init{};
  init.flags = SnpInitEx::init_rmp | SnpInitEx::list_paddr_en;
  init.list_paddr = free_page.value();
  ASSERT_EQ(run(Command::snp_init_ex, init), Status::success);
  const auto expect = [this](u64 at, PageState state) {
    EXPECT_EQ(state_of(SystemPhysical(at)), state) << std::hex << at;
  };
  expect(0x4000, PageState::hypervisor);
  expect(0x5000, PageState::hv_fixed);
  expect(0x6000, PageState::hv_fixed);
  expect(0x7000, PageState::hypervisor);
  expect(0x9000, PageState::hv_fixed);
  expect(0x9F000, PageState::hypervisor);
  expect(0xA0000, PageState::hv_fixed);
  expect(0xBF000, PageState::hv_fixed);
  expect(0xC0000, PageState::hypervisor);
  expect(0x7FF000, PageState::hypervisor);
  expect(0x800000, PageState::hv_fixed);
  expect(0xBFF000, PageState::hv_fixed);
  expect(0xC00000, PageState::hypervisor);
  EXPECT_EQ(rmp.entry(SystemPhysical(0x5000)).low, 4u);
}

TEST_F(PlatformTest, init_forgets_an_earlier_rmp) {
  init_and_flush();
  create_context();
  make_pre_guest(page, 0, PageSize::size_2m);
  ASSERT_EQ(run(Command::snp_shutdown), Status::success);
  init();
  EXPECT_EQ(state_of(context), PageState::hypervisor);
  EXPECT_EQ(state_of(page), PageState::hypervisor);
  EXPECT_EQ(state_of(page + page_size), PageState::hypervisor);
  EXPECT_EQ(rmp.assigned_pages(asid), 0u);
  EXPECT_EQ(psp.guest(context), nullptr);
}

TEST_F(PlatformTest, init_demands_a_good_range_list) {
  const auto init_with = [this](u64 list) {
    SnpInitEx init{};
    init.flags = SnpInitEx::init_rmp | SnpInitEx::list_paddr_en;
    init.list_paddr = list;
    return run(Command::snp_init_ex, init);
  };
  put(free_page, RangeListHeader{256, 0});
  EXPECT_EQ(init_with(free_page.value()), Status::rmp_initialization_failed);
  put(free_page, RangeListHeader{1, 1});
  EXPECT_EQ(init_with(free_page.value()), Status::rmp_initialization_failed);
  put(free_page, RangeListHeader{1, 0});
  put(free_page + 8, RangeListEntry{0x5001, 1, 0});
  EXPECT_EQ(init_with(free_page.value()), Status::rmp_initialization_failed);
  put(free_page + 8, RangeListEntry{0x5000, 1, 1});
  EXPECT_EQ(init_with(free_page.value()), Status::rmp_initialization_failed);
  put(free_page + 8, RangeListEntry{0xFFFFFFFFFFFFF000, 2, 0});
  EXPECT_EQ(init_with(free_page.value()), Status::rmp_initialization_failed);
  EXPECT_EQ(init_with(0xFFFFFFFFFFF), Status::rmp_initialization_failed);
  // The list must not leave its page.
  put(SystemPhysical(0x2FF0), RangeListHeader{1, 0});
  EXPECT_EQ(init_with(0x2FF0), Status::rmp_initialization_failed);
  EXPECT_EQ(psp.state().platform, PlatformState::uninit);
  put(free_page + 8, RangeListEntry{0x5000, 1, 0});
  EXPECT_EQ(init_with(free_page.value()), Status::success);
}

TEST_F(PlatformTest, init_checks_every_core) {
  struct Fault {
    u32 number;
    u64 value;
    Status status;
  };
  const Fault faults[] = {
      {msr::syscfg, 0x3880000 & ~bit(19), Status::invalid_config},
      {msr::syscfg, 0x3880000 & ~bit(23), Status::invalid_config},
      {msr::syscfg, 0x3880000 & ~bit(24), Status::invalid_config},
      {msr::syscfg, 0x3880000 & ~bit(25), Status::invalid_config},
      {msr::hwcr, 0, Status::invalid_config},
      {0x250, 1, Status::invalid_config},
      {0x258, 1, Status::invalid_config},
      {0x259, 1, Status::invalid_config},
      {0x268, 1, Status::invalid_config},
      {0x26F, 1, Status::invalid_config},
      {0xC0010016, 1, Status::invalid_config},
      {0xC0010019, 1, Status::invalid_config},
      {0xC001001A, 1, Status::invalid_config},
      {0xC001001D, 1, Status::invalid_config},
      {0xC0010112, 1, Status::invalid_config},
      {0xC0010113, 1, Status::invalid_config},
      {0xC0011006, bit(2), Status::invalid_config},
      {0xC0011006, bit(7), Status::invalid_config},
      {msr::rmp_base, 0, Status::invalid_config},
      {msr::rmp_end, 0, Status::invalid_config},
      {msr::vm_hsave_pa, 0x1000, Status::invalid_config},
  };
  const auto good = platform.msrs;
  for (const Fault& fault : faults) {
    for (const unsigned core : {1u, platform.cores - 1}) {
      platform.msrs = good;
      platform.msrs[{core, fault.number}] = fault.value;
      EXPECT_EQ(run(Command::snp_init), fault.status) << std::hex << fault.number;
    }
  }
  platform.msrs = good;
  EXPECT_EQ(run(Command::snp_init), Status::success);
}

TEST_F(PlatformTest, init_checks_the_rmp_range) {
  const auto init_with = [this](u64 base, u64 end) {
    for (unsigned core = 0; core < platform.cores; ++core) {
      platform.msrs[{core, msr::rmp_base}] = base;
      platform.msrs[{core, msr::rmp_end}] = end;
    }
    return run(Command::snp_init);
  };
  const u64 base = rmp_base.value();
  const u64 end = base + rmp_bytes - 1;
  EXPECT_EQ(init_with(base | bit(51), end), Status::unsupported);
  EXPECT_EQ(init_with(base, end | bit(51)), Status::unsupported);
  EXPECT_EQ(init_with(base + 0x2000, end), Status::invalid_config);
  EXPECT_EQ(init_with(base, end - 0x1000), Status::invalid_config);
  EXPECT_EQ(init_with(base, base - 1), Status::invalid_config);
  EXPECT_EQ(init_with(base, end), Status::success);
}

TEST_F(PlatformTest, init_without_init_rmp_needs_an_rmp) {
  EXPECT_EQ(run(Command::snp_init_ex, SnpInitEx{}), Status::rmp_init_required);
  init_and_flush();
  create_context();
  ASSERT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 0}), Status::success);
  EXPECT_EQ(run(Command::snp_init_ex, SnpInitEx{}), Status::success);
  EXPECT_EQ(state_of(context), PageState::context) << "INIT_RMP=0 keeps the table";
  flush_caches();
  ASSERT_EQ(run(Command::snp_df_flush), Status::success);
  ASSERT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 1}), Status::success);
  EXPECT_EQ(run(Command::snp_init_ex, SnpInitEx{}), Status::rmp_init_required);
  SnpInitEx list_only{};
  list_only.flags = SnpInitEx::list_paddr_en;
  EXPECT_EQ(run(Command::snp_init_ex, list_only), Status::invalid_param);
}

TEST_F(PlatformTest, init_under_another_tcb_needs_a_new_rmp) {
  init_and_flush();
  ASSERT_EQ(run(Command::snp_shutdown), Status::success);
  change_state([](PspState& state) { ++state.current_tcb.snp; });
  EXPECT_EQ(run(Command::snp_init_ex, SnpInitEx{}), Status::rmp_init_required);
}

TEST_F(PlatformTest, flush_state_machine) {
  init();
  EXPECT_EQ(run(Command::snp_df_flush), Status::wbinvd_required);
  EXPECT_EQ(run(Command::snp_shutdown), Status::df_flush_required);
  for (unsigned core = 0; core + 1 < platform.cores; ++core) {
    platform.ledger.wbinvd(core);
  }
  EXPECT_EQ(run(Command::snp_df_flush), Status::wbinvd_required) << "one core is missing";
  platform.ledger.wbinvd(platform.cores - 1);
  EXPECT_EQ(run(Command::snp_shutdown), Status::df_flush_required);
  EXPECT_EQ(run(Command::snp_df_flush), Status::success);
  EXPECT_EQ(run(Command::snp_shutdown), Status::success);
  EXPECT_EQ(psp.state().platform, PlatformState::uninit);
}

TEST_F(PlatformTest, shutdown_ex) {
  EXPECT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{99, 99}), Status::success) << "UNINIT";
  EXPECT_EQ(run(Command::snp_shutdown), Status::success);
  init();
  EXPECT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{7, 0}), Status::invalid_param);
  EXPECT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 4}), Status::invalid_param);
  EXPECT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 2}), Status::invalid_param);
  EXPECT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 3}), Status::df_flush_required);
  flush_caches();
  ASSERT_EQ(run(Command::snp_df_flush), Status::success);
  platform.can_disable_snp = false;
  EXPECT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 3}), Status::shutdown_incomplete);
  platform.can_disable_snp = true;
  EXPECT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 3}), Status::success);
}

TEST_F(PlatformTest, platform_status) {
  const auto status_at = [this](SystemPhysical at) {
    return run(Command::snp_platform_status, SnpPlatformStatusCommand{at.value()});
  };
  EXPECT_EQ(status_at(free_page + 0xFF0), Status::invalid_param) << "crosses a page";
  EXPECT_EQ(status_at(SystemPhysical(u64{1} << 40)), Status::invalid_address);
  ASSERT_EQ(status_at(free_page), Status::success);
  auto status = get<SnpPlatformStatus>(free_page);
  EXPECT_EQ(status.api_major, 1);
  EXPECT_EQ(status.api_minor, 55);
  EXPECT_EQ(status.build_id, 25u);
  EXPECT_EQ(status.state, 0);
  EXPECT_EQ(status.rmp_flags, 0);
  EXPECT_EQ(status.flags, SnpPlatformStatus::feature_info);
  EXPECT_EQ(status.current_tcb, encode_tcb(Product::genoa, default_tcb(Product::genoa)));
  init_and_flush();
  EXPECT_EQ(status_at(free_page), Status::invalid_page_state) << "hypervisor page under SNP";
  EXPECT_EQ(status_at(rmp_base), Status::invalid_param) << "in the RMP";
  ASSERT_EQ(status_at(outside), Status::success) << "DEFAULT";
  create_context();
  ASSERT_EQ(launch_start(), Status::success);
  make_firmware(other);
  ASSERT_EQ(status_at(other + 0x20), Status::success);
  status = get<SnpPlatformStatus>(other + 0x20);
  EXPECT_EQ(status.state, 1);
  EXPECT_EQ(status.rmp_flags, SnpPlatformStatus::is_rmp_init);
  EXPECT_EQ(status.guest_count, 1u);
}

TEST_F(PlatformTest, config_and_commit) {
  SnpConfig config{};
  const TcbComponents tcb = default_tcb(Product::genoa);
  TcbComponents lower = tcb;
  --lower.snp;
  lower.microcode = 0xFF;
  config.reported_tcb = encode_tcb(Product::genoa, lower);
  config.flags = SnpConfig::mask_chip_key;
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  EXPECT_EQ(psp.state().reported_tcb, lower);
  EXPECT_FALSE(psp.state().mask_chip_id);
  EXPECT_TRUE(psp.state().mask_chip_key);
  TcbComponents higher = tcb;
  ++higher.microcode;
  config.reported_tcb = encode_tcb(Product::genoa, higher);
  EXPECT_EQ(run(Command::snp_config, config), Status::invalid_param);
  EXPECT_EQ(psp.state().reported_tcb, lower);
  ASSERT_EQ(run(Command::snp_config, SnpConfig{}), Status::success);
  EXPECT_EQ(psp.state().reported_tcb, tcb);

  change_state([&](PspState& state) { state.current_tcb = higher; });
  EXPECT_EQ(run(Command::snp_commit, SnpCommit{5}), Status::invalid_param);
  EXPECT_EQ(psp.state().committed_tcb, tcb);
  EXPECT_EQ(run(Command::snp_commit, SnpCommit{4}), Status::success);
  EXPECT_EQ(psp.state().committed_tcb, higher);
}

TEST_F(PlatformTest, feature_info) {
  const auto info = [this](u32 length, u32 leaf, SystemPhysical at) {
    return run(Command::snp_feature_info, SnpFeatureInfo{length, leaf, at.value()});
  };
  EXPECT_EQ(info(0x11, 0, free_page), Status::invalid_param);
  EXPECT_EQ(info(0x10, 2, free_page), Status::invalid_param);
  EXPECT_EQ(info(0x10, 0, free_page + 2), Status::invalid_address);
  EXPECT_EQ(info(0x10, 0, free_page + 0xFF4), Status::invalid_address);
  ASSERT_EQ(info(0x10, 0, free_page + 0xFF0), Status::success);
  const auto output = get<SnpFeatureInfoOutput>(free_page + 0xFF0);
  EXPECT_EQ(output.eax, 1u);
  EXPECT_EQ(output.ecx,
            SnpFeatureInfoOutput::ecx_vlek | SnpFeatureInfoOutput::ecx_x86_snp_shutdown);
  init();
  EXPECT_EQ(info(0x10, 0, free_page), Status::invalid_page_state);
  make_firmware(other);
  EXPECT_EQ(info(0x10, 1, other), Status::success);
  EXPECT_EQ(get<SnpFeatureInfoOutput>(other).eax, 0x1FFu);
}

TEST_F(PlatformTest, legacy_commands_write_only_firmware_pages) {
  ASSERT_EQ(run(Command::platform_status), Status::success);
  EXPECT_EQ(get<SevPlatformStatus>(buffer).api_minor, 55);
  init();
  const auto refused = static_cast<Status>(0x5A);
  EXPECT_EQ(run(Command::platform_status), refused);
  make_firmware(other);
  EXPECT_EQ(psp.command(Command::platform_status, other), Status::success);
  EXPECT_EQ(state_of(other), PageState::reclaim);
  EXPECT_EQ(get<SevPlatformStatus>(other).api_major, 1);
  EXPECT_EQ(psp.command(Command::platform_status, outside), Status::success);
}

TEST_F(PlatformTest, get_id_is_stable_and_tells_its_length) {
  EXPECT_EQ(run(Command::get_id, SevGetId{free_page.value(), 0x3F}), Status::invalid_length);
  EXPECT_EQ(get<SevGetId>(buffer).length, 0x40u);
  ASSERT_EQ(run(Command::get_id, SevGetId{free_page.value(), 0x40}), Status::success);
  const std::vector<u8> id = page_bytes(free_page);
  EXPECT_NE(id, std::vector<u8>(page_size));
  Psp again({.seed = 1}, dram, rmp, platform);
  Psp another({.seed = 2}, dram, rmp, platform);
  ASSERT_EQ(again.command(Command::get_id, buffer), Status::success);
  EXPECT_EQ(page_bytes(free_page), id);
  ASSERT_EQ(another.command(Command::get_id, buffer), Status::success);
  EXPECT_NE(page_bytes(free_page), id);
}

}  // namespace
}  // namespace softsnp::psp
