// SNP_VLEK_LOAD, and what SNP_CONFIG and SNP_COMMIT mean for keys and reports (firmware sheet 1.6).
#include "machine/psp/id_block.hpp"
#include "tests/machine/psp/guest_message_fixture.hpp"

namespace softsnp::psp {
namespace {

using VlekTest = GuestMessageTest;

TEST_F(VlekTest, load_checks_in_order) {
  const WrappedVlek good = wrapped_vlek();
  put(free_page, good);
  const auto load = [this](u32 length, u8 version, u8 mbz, u64 at) {
    return run(Command::snp_vlek_load, SnpVlekLoad{length, version, {0, 0, mbz}, at});
  };
  EXPECT_EQ(load(0xF, 0, 0, free_page.value()), Status::invalid_param);
  EXPECT_EQ(load(0x10, 1, 0, free_page.value()), Status::invalid_param);
  EXPECT_EQ(load(0x10, 0, 1, free_page.value()), Status::invalid_param);
  EXPECT_EQ(load(0x10, 0, 0, dram_bytes - sizeof good + 1), Status::invalid_address);
  WrappedVlek bad = good;
  bad.auth_tag[15] ^= 1;
  EXPECT_EQ(load_vlek(bad), Status::bad_measurement);
  ++bad.tcb.bytes[7];
  EXPECT_EQ(load_vlek(bad), Status::bad_svn) << "before the tag";
  bad.mbz_198 = 1;
  EXPECT_EQ(load_vlek(bad), Status::invalid_param) << "before the TCB";
  bad = good;
  bad.mbz_00c = 1;
  EXPECT_EQ(load_vlek(bad), Status::invalid_param);
  bad = good;
  bad.hashstick[0x17F] ^= 1;
  EXPECT_EQ(load_vlek(bad), Status::bad_measurement);
  EXPECT_FALSE(psp.state().vlek.has_value());
  EXPECT_EQ(load_vlek(good), Status::success);
  EXPECT_EQ(psp.state().vlek->hashstick, hashstick());
}

TEST_F(VlekTest, another_chips_vlek_is_refused) {
  ChipSecret secret;
  secret.fill(1);
  const EndorsementKey other_chip =
      derive_vcek(secret, default_tcb(Product::genoa), Product::genoa);
  EXPECT_EQ(load_vlek(wrap_vlek(other_chip, hashstick(), wrapped_vlek().tcb, {})),
            Status::bad_measurement);
}

TEST_F(VlekTest, platform_status_tells) {
  const auto flags = [this] {
    EXPECT_EQ(run(Command::snp_platform_status, SnpPlatformStatusCommand{other.value()}),
              Status::success);
    return get<SnpPlatformStatus>(other).flags;
  };
  EXPECT_EQ(flags() & SnpPlatformStatus::vlek_en, 0u);
  ASSERT_EQ(load_vlek(wrapped_vlek()), Status::success);
  EXPECT_EQ(flags() & SnpPlatformStatus::vlek_en, SnpPlatformStatus::vlek_en);
}

TEST_F(VlekTest, shutdown_wipes_it) {
  init_and_flush();
  ASSERT_EQ(load_vlek(wrapped_vlek()), Status::success);
  ASSERT_EQ(run(Command::snp_shutdown_ex, SnpShutdownEx{8, 0}), Status::success);
  EXPECT_FALSE(psp.state().vlek.has_value());
}

TEST_F(VlekTest, follows_the_reported_tcb_down) {
  start_guest();
  ASSERT_EQ(load_vlek(wrapped_vlek()), Status::success);
  const TcbVersion loaded = wrapped_vlek().tcb;
  SnpConfig config{};
  config.reported_tcb = loaded;
  --config.reported_tcb.bytes[6];
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  const AttestationReport lower = report(KeySelect::vlek).report;
  const auto key = derive_vlek(hashstick(), loaded, config.reported_tcb);
  ASSERT_TRUE(key.has_value());
  EXPECT_TRUE(
      verify_signature(P384().public_key(key->private_key), lower.signature,
                       {reinterpret_cast<const u8*>(&lower), AttestationReport::signed_bytes}));
  // Lower as a whole, but with a component above: the hashstick does not reach.
  config.reported_tcb.bytes[7] = 0xFF;
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  EXPECT_EQ(report(KeySelect::vlek).status, 0x27u);
}

TEST_F(VlekTest, commit_shows_in_reports) {
  start_guest();
  change_state([](PspState& state) {
    ++state.current_tcb.snp;
    state.committed_version = {1, 54, 3};
  });
  AttestationReport made = report().report;
  EXPECT_NE(made.current_tcb, made.committed_tcb);
  EXPECT_EQ(made.committed.minor, 54);
  ASSERT_EQ(run(Command::snp_commit, SnpCommit{4}), Status::success);
  made = report().report;
  EXPECT_EQ(made.current_tcb, made.committed_tcb);
  EXPECT_EQ(made.committed.minor, 55);
  EXPECT_NE(made.current_tcb, made.reported_tcb) << "CONFIG's business";
  EXPECT_NE(made.current_tcb, made.launch_tcb);
  ASSERT_EQ(run(Command::snp_config, SnpConfig{}), Status::success);
  EXPECT_EQ(report().report.reported_tcb, made.current_tcb);
}

TEST_F(VlekTest, config_compares_the_fmc_of_a_turin) {
  const TcbComponents tcb = default_tcb(Product::turin);
  Psp turin({.seed = 1, .product = Product::turin, .tcb = tcb}, dram, rmp, platform);
  SnpConfig config{};
  TcbComponents higher = tcb;
  ++higher.fmc;
  config.reported_tcb = encode_tcb(Product::turin, higher);
  put(buffer, config);
  EXPECT_EQ(turin.command(Command::snp_config, buffer), Status::invalid_param);
  higher.fmc = 0;
  config.reported_tcb = encode_tcb(Product::turin, higher);
  put(buffer, config);
  EXPECT_EQ(turin.command(Command::snp_config, buffer), Status::success);
}

}  // namespace
}  // namespace softsnp::psp
