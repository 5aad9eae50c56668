// Attestation reports (firmware sheet 4.3, 5.1, 5.5).
#include "machine/psp/id_block.hpp"
#include "tests/machine/psp/guest_message_fixture.hpp"

namespace softsnp::psp {
namespace {

std::span<const u8> signed_part(const AttestationReport& report) {
  return {reinterpret_cast<const u8*>(&report), AttestationReport::signed_bytes};
}

class ReportTest : public GuestMessageTest {
 protected:
  static bool signed_by(const EndorsementKey& key, const AttestationReport& report) {
    return verify_signature(P384().public_key(key.private_key), report.signature,
                            signed_part(report));
  }

  // A guest with all fields that an ID block fills, on a platform whose TCBs differ.
  void make_rich_guest() {
    start_guest();
    platform.smt = true;
    change_state([](PspState& state) {
      GuestContext& guest = state.guests.at(context);
      guest.id_block_en = guest.author_key_en = true;
      guest.id_block.guest_svn = 0x12345678;
      std::fill_n(guest.id_block.family_id, 0x10, u8{0xFA});
      std::fill_n(guest.id_block.image_id, 0x10, u8{0x1A});
      std::fill_n(guest.id_key_digest.bytes, digest_bytes, u8{0x1D});
      std::fill_n(guest.author_key_digest.bytes, digest_bytes, u8{0xA0});
      guest.launch_mitigation_vector = 0x5;
      guest.launch_tcb.bytes[0] = 1;
      state.current_tcb.snp = 0x30;
      state.committed_tcb.snp = 0x20;
      state.reported_tcb.snp = 0x10;
      state.committed_version = {1, 54, 7};
    });
  }

  // All bytes of a report from version 2 on, by offset (firmware sheet 5.1).
  std::vector<u8> expected_bytes(u32 version) {
    std::vector<u8> bytes(AttestationReport::signed_bytes);
    const auto at = [&bytes](usize offset, const auto& value) {
      store_le(bytes.data() + offset, value);
    };
    at(0x000, version);
    at(0x004, u32{0x12345678});
    at(0x008, u64{default_policy});
    std::fill_n(bytes.begin() + 0x010, 0x10, u8{0xFA});
    std::fill_n(bytes.begin() + 0x020, 0x10, u8{0x1A});
    at(0x030, u32{2});  // VMPL
    at(0x034, u32{1});
    at(0x038, std::array<u8, 8>{0x0A, 0, 0, 0, 0, 0, 0x30, 0x54});
    at(0x040, u64{1});  // SMT
    at(0x048, u32{1});  // AUTHOR_KEY_EN
    for (u8 n = 0; n < 0x40; ++n) {
      bytes[0x050u + n] = static_cast<u8>(n + 1);
    }
    at(0x090, guest().launch_digest);
    for (u8 n = 0; n < 0x20; ++n) {
      bytes[0x0C0u + n] = static_cast<u8>(0xC0 + n);
    }
    std::fill_n(bytes.begin() + 0x0E0, 0x30, u8{0x1D});
    std::fill_n(bytes.begin() + 0x110, 0x30, u8{0xA0});
    at(0x140, guest().report_id);
    std::fill_n(bytes.begin() + 0x160, 0x20, u8{0xFF});
    at(0x180, std::array<u8, 8>{0x0A, 0, 0, 0, 0, 0, 0x10, 0x54});
    at(0x1A0, make_chip(psp.config()).id);
    at(0x1E0, std::array<u8, 8>{0x0A, 0, 0, 0, 0, 0, 0x20, 0x54});
    at(0x1E8, std::array<u8, 8>{25, 55, 1, 0, 7, 54, 1, 0});
    at(0x1F0, std::array<u8, 8>{0x01, 0, 0, 0, 0, 0, 0x17, 0x54});
    return bytes;
  }
  AttestationReport report_of(ReportVersion version) {
    Psp twin({.seed = 1, .report_version = version, .mitigation_vector = 0x7}, dram, rmp, platform);
    twin.restore(psp.state());
    const auto response = exchange<ReportResponse>(MessageType::report_request,
                                                   report_request(KeySelect::vcek, 2), 2, 1, twin);
    EXPECT_EQ(response.status, 0u);
    EXPECT_EQ(response.report_size, 0x4A0u);
    TcbComponents reported = default_tcb(Product::genoa);
    reported.snp = 0x10;
    EXPECT_TRUE(signed_by(vcek(reported), response.report));
    EXPECT_FALSE(signed_by(vcek(), response.report)) << "the VCEK of another TCB";
    return response.report;
  }
};

TEST_F(ReportTest, layout_of_version_2) {
  make_rich_guest();
  const AttestationReport report = report_of(ReportVersion::v2);
  EXPECT_EQ(to_hex(signed_part(report)), to_hex(expected_bytes(2)));
}

TEST_F(ReportTest, layout_of_version_3) {
  make_rich_guest();
  std::vector<u8> expected = expected_bytes(3);
  expected[0x188] = 0x19;
  expected[0x189] = 0x11;
  expected[0x18A] = 0x01;
  const AttestationReport report = report_of(ReportVersion::v3);
  EXPECT_EQ(to_hex(signed_part(report)), to_hex(expected));
}

TEST_F(ReportTest, layout_of_version_5) {
  make_rich_guest();
  std::vector<u8> expected = expected_bytes(5);
  expected[0x188] = 0x19;
  expected[0x189] = 0x11;
  expected[0x18A] = 0x01;
  expected[0x1F8] = 0x05;
  expected[0x200] = 0x07;
  const AttestationReport report = report_of(ReportVersion::v5);
  EXPECT_EQ(to_hex(signed_part(report)), to_hex(expected));
}

TEST_F(ReportTest, the_default_is_version_3) {
  start_guest();
  const AttestationReport made = report().report;
  EXPECT_EQ(made.version, 3u);
  EXPECT_TRUE(signed_by(vcek(), made));
  EXPECT_EQ(made.current_tcb, made.reported_tcb);
  EXPECT_EQ(made.committed_tcb, made.reported_tcb);
  EXPECT_EQ(made.launch_tcb, made.reported_tcb);
  EXPECT_NE(made.measurement, Digest{});
}

TEST_F(ReportTest, signatures_are_deterministic_and_cover_every_byte) {
  start_guest();
  const AttestationReport first = report().report;
  EXPECT_EQ(to_hex(bytes_of(report().report)), to_hex(bytes_of(first)));
  const EcdsaPublicKey key = P384().public_key(vcek().private_key);
  for (usize byte = 0; byte < AttestationReport::signed_bytes; byte += 7) {
    AttestationReport altered = first;
    reinterpret_cast<u8*>(&altered)[byte] ^= 1;
    EXPECT_FALSE(verify_signature(key, altered.signature, signed_part(altered))) << byte;
  }
  EXPECT_EQ(to_hex({first.signature.r + 48, 24}), std::string(48, '0'));
  EXPECT_EQ(to_hex(first.signature.reserved), std::string(2 * 0x170, '0'));
}

TEST_F(ReportTest, refusals_in_order) {
  start_guest();
  const auto status = [this](const ReportRequest& asked, u8 vmpck = 2) {
    const auto response = exchange<ReportResponse>(MessageType::report_request, asked, vmpck);
    if (response.status != 0) {
      EXPECT_EQ(response.report_size, 0u);
      EXPECT_EQ(to_hex(bytes_of(response.report)), std::string(2 * 0x4A0, '0'));
    }
    return response.status;
  };
  ReportRequest all = report_request(KeySelect::reserved, 1);
  all.mbz_48[0x17] = 1;
  EXPECT_EQ(status(all), 0x16u) << "MBZ first";
  all.mbz_48[0x17] = 0;
  EXPECT_EQ(status(all), 0x27u) << "then the key";
  all.selection = 1;
  EXPECT_EQ(status(all), 0x16u) << "then the VMPL";
  all.vmpl = 2;
  EXPECT_EQ(status(all), 0u);
  all.vmpl = 0xFFFFFFFF;
  EXPECT_EQ(status(all), 0u) << "above 3 is the guest's affair";
  all.selection = 4 | 1;
  EXPECT_EQ(status(all), 0x16u);
  all.selection = 2;
  EXPECT_EQ(status(all), 0x27u) << "no VLEK";
}

TEST_F(ReportTest, vmpl_against_every_key) {
  start_guest();
  for (u8 vmpck = 0; vmpck < vmpl_count; ++vmpck) {
    for (u32 vmpl = 0; vmpl < vmpl_count; ++vmpl) {
      const auto response = exchange<ReportResponse>(MessageType::report_request,
                                                     report_request(KeySelect::vcek, vmpl), vmpck);
      EXPECT_EQ(response.status, vmpl < vmpck ? 0x16u : 0u);
      EXPECT_EQ(response.report.vmpl, vmpl < vmpck ? 0 : vmpl);
    }
  }
}

TEST_F(ReportTest, disabled_vcek) {
  start_guest(SnpLaunchFinish::vcek_dis);
  EXPECT_EQ(report(KeySelect::vlek_else_vcek).status, 0x27u);
  EXPECT_EQ(report(KeySelect::vcek).status, 0x27u);
  ASSERT_EQ(load_vlek(wrapped_vlek()), Status::success);
  EXPECT_EQ(report(KeySelect::vcek).status, 0x27u);
  EXPECT_EQ(report(KeySelect::vlek_else_vcek).status, 0u);
}

TEST_F(ReportTest, signed_by_the_vlek) {
  start_guest();
  ASSERT_EQ(load_vlek(wrapped_vlek()), Status::success);
  const TcbVersion tcb = encode_tcb(Product::genoa, default_tcb(Product::genoa));
  const EndorsementKey vlek = derive_vlek(hashstick(), tcb, tcb).value();
  for (const KeySelect select : {KeySelect::vlek, KeySelect::vlek_else_vcek}) {
    const AttestationReport made = report(select).report;
    EXPECT_EQ(signer_info::signing_key(made.signer_info), 1u);
    EXPECT_TRUE(signed_by(vlek, made));
    EXPECT_FALSE(signed_by(vcek(), made));
  }
  const AttestationReport made = report(KeySelect::vcek).report;
  EXPECT_EQ(signer_info::signing_key(made.signer_info), 0u);
  EXPECT_TRUE(signed_by(vcek(), made));
}

TEST_F(ReportTest, masked_chip) {
  start_guest();
  SnpConfig config{};
  config.flags = SnpConfig::mask_chip_id;
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  AttestationReport made = report().report;
  EXPECT_EQ(to_hex(made.chip_id), std::string(128, '0'));
  EXPECT_EQ(made.signer_info, 0u);
  EXPECT_TRUE(signed_by(vcek(), made));
  config.flags = SnpConfig::mask_chip_key;
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  const ReportResponse response = report(KeySelect::vcek);
  EXPECT_EQ(response.status, 0u);
  EXPECT_EQ(response.report.signer_info, signer_info::mask_chip_key | 7u << 2);
  EXPECT_EQ(to_hex(bytes_of(response.report.signature)), std::string(0x400, '0'));
  EXPECT_NE(to_hex(response.report.chip_id), std::string(128, '0'));
  ASSERT_EQ(load_vlek(wrapped_vlek()), Status::success);
  made = report().report;
  EXPECT_EQ(made.signer_info, signer_info::mask_chip_key | 1u << 2) << "the VLEK is no chip's key";
}

TEST_F(ReportTest, config_changes_the_reported_tcb_and_with_it_the_key) {
  start_guest();
  TcbComponents lower = default_tcb(Product::genoa);
  --lower.microcode;
  SnpConfig config{};
  config.reported_tcb = encode_tcb(Product::genoa, lower);
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  const AttestationReport made = report().report;
  EXPECT_EQ(made.reported_tcb, config.reported_tcb);
  EXPECT_NE(made.current_tcb, config.reported_tcb);
  EXPECT_TRUE(signed_by(vcek(lower), made));
  EXPECT_FALSE(signed_by(vcek(), made));
}

TEST_F(ReportTest, chip_of_its_own) {
  start_guest();
  ChipSecret secret;
  secret.fill(9);
  ChipId id;
  id.fill(0xAB);
  const auto report_from = [&](const PspConfig& config) {
    Psp chip(config, dram, rmp, platform);
    chip.restore(psp.state());
    return exchange<ReportResponse>(MessageType::report_request, report_request(), 0, 1, chip)
        .report;
  };
  AttestationReport made = report_from({.seed = 1, .chip_secret = secret, .chip_id = id});
  EXPECT_EQ(to_hex(made.chip_id), to_hex(id));
  EXPECT_TRUE(signed_by(derive_vcek(secret, default_tcb(Product::genoa), Product::genoa), made));
  EXPECT_FALSE(signed_by(vcek(), made));
  made = report_from({.seed = 2});
  EXPECT_FALSE(signed_by(vcek(), made));
  EXPECT_NE(to_hex(made.chip_id), to_hex(make_chip(psp.config()).id));
  made = report_from({.seed = 1, .product = Product::turin, .chip_secret = secret, .chip_id = id});
  EXPECT_EQ(to_hex(made.chip_id),
            std::string(16, 'a').replace(0, 16, "abababababababab") + std::string(112, '0'));
  EXPECT_TRUE(signed_by(derive_vcek(secret, default_tcb(Product::genoa), Product::turin), made));
}

// Firmware sheet 5.5: a real Milan's report.
class RealReportTest : public testing::Test {
 protected:
  RealReportTest() {
    put(0x000, "02000000");
    put(0x008, "0000030000000000");
    put(0x034, "01000000");
    for (const usize tcb : {0x038u, 0x180u, 0x1E0u, 0x1F0u}) {
      put(tcb, "0300000000000873");
    }
    put(0x040, "0100000000000000");
    put(0x050,
        "d447b55d197491bfe15cf298f9de9986b7a7c4be2468b4f6e2d53b71d7c645810b0f2cdfca0040433be063fc1a"
        "8293f0f3f8dae7b79fecb3d1cd82bd6a93ebfd");
    put(0x090,
        "7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480cd"
        "81841f");
    put(0x140, "92b3b47d59f0a2a10a74c5678868a80238cf593c01a82f3cffb878e904c28d5b");
    put(0x160, std::string(64, 'f'));
    put(0x1A0,
        "d49554ec717f4e5b0fe6b143bcf0405bd7ae304727edf46603f2a76aef6a3abc15d7af38db757039029f0efacf"
        "d08e244324884738c72b082e2f87a44d541eb6");
    put(0x1E8, "0434010004340100");
    put(0x2A0,
        "61ab4f11aa661997625f233df42a4ad54440eeb7a96ea63de170cbc29c37c005cb54054881ec7d2bee569b02d0"
        "7f8272");
    put(0x2E8,
        "209d7eb9be919a1d0baf1d57fe6ebfeabbc53b778c6e977e40b15ca931bb6d44c5ab9e30cfdc7346cb41ac083b"
        "90bf49");
  }
  void put(usize offset, std::string_view hex) {
    const std::vector<u8> part = from_hex(hex);
    std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  AttestationReport parse() const { return load_le<AttestationReport>(bytes.data()); }

  std::array<u8, sizeof(AttestationReport)> bytes{};
};

TEST_F(RealReportTest, fields) {
  const AttestationReport report = parse();
  EXPECT_EQ(report.version, 2u);
  EXPECT_EQ(report.policy, 0x30000u);
  EXPECT_EQ(report.signature_algorithm, 1u);
  EXPECT_EQ(report.platform_info, platform_info::smt_en);
  EXPECT_EQ(decode_tcb(Product::milan, report.current_tcb), (TcbComponents{0, 3, 0, 8, 0x73}));
  EXPECT_EQ(report.launch_tcb, report.reported_tcb);
  EXPECT_EQ(report.measurement.bytes[0], 0x7A);
  EXPECT_EQ(report.report_id_ma[0x1F], 0xFF);
  EXPECT_EQ(report.chip_id[0x3F], 0xB6);
  EXPECT_EQ(report.current.build, 4);
  EXPECT_EQ(report.current.minor, 52);
  EXPECT_EQ(report.committed.major, 1);
  EXPECT_EQ(signer_info::signing_key(report.signer_info), 0u);
}

TEST_F(RealReportTest, digest_and_signature) {
  const AttestationReport report = parse();
  Sha384 sha;
  EXPECT_EQ(sha(signed_part(report)),
            digest_from_hex("4a0a381698d41e9ed56d29569d7808992893cee54351d8382716326fa7593b92665526"
                            "eb1ca93891ff247c68548b69c4"));
  EcdsaPublicKey key{};
  key.curve = EcdsaPublicKey::curve_p384;
  const auto coordinate = [](u8* to, std::string_view hex) {
    const std::vector<u8> big_endian = from_hex(hex);
    std::reverse_copy(big_endian.begin(), big_endian.end(), to);
  };
  coordinate(
      key.qx,
      "a17accd80b1edeb0d39f30aa5c08b14c7070051d293fce99a0de55e662a7c276857aa34067cd9ecf521c90"
      "489c0d4075");
  coordinate(
      key.qy,
      "d56e61ccda2be696efb1b9d4e9d15dd2fea32b0248409acc91481722402d31a2373ce1b0465098070f4f63"
      "cc7620a3e9");
  EXPECT_TRUE(verify_signature(key, report.signature, signed_part(report)));
  bytes[0x90] ^= 1;
  const AttestationReport altered = parse();
  EXPECT_FALSE(verify_signature(key, altered.signature, signed_part(altered)));
}

}  // namespace
}  // namespace softsnp::psp
