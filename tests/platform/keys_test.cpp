// The keys in certificates are those that the secure processor signs with.
#include "machine/psp/id_block.hpp"
#include "platform/directory.hpp"
#include "tests/machine/psp/guest_message_fixture.hpp"
#include "tests/platform/fixture.hpp"

namespace softsnp::psp {
namespace {

using platform::Leaf;
using platform::Platform;

class ChipOf : public GuestMessageTest {
 protected:
  static PspConfig config_of(const Platform& chip) {
    return make_config(1, chip.settings.product, platform::identity(chip));
  }
  // A report of the guest from the chip, told first what the host's owner wants.
  AttestationReport report_from(const Platform& chip, const TcbComponents& tcb,
                                bool with_vlek = false) {
    Psp processor(config_of(chip), dram, rmp, platform);
    PspState state = processor.state();
    // The guest is the fixture's; the chip's own TCBs stay.
    PspState running = psp.state();
    running.current_tcb = state.current_tcb;
    running.committed_tcb = state.committed_tcb;
    running.reported_tcb = state.reported_tcb;
    processor.restore(running);
    SnpConfig config{};
    config.reported_tcb = encode_tcb(chip.settings.product, tcb);
    put(buffer, config);
    EXPECT_EQ(processor.command(Command::snp_config, buffer), Status::success);
    if (with_vlek) {
      put(free_page, platform::wrapped_vlek(chip, tcb));
      put(buffer, SnpVlekLoad{sizeof(SnpVlekLoad), 0, {}, free_page.value()});
      EXPECT_EQ(processor.command(Command::snp_vlek_load, buffer), Status::success);
    }
    return exchange<ReportResponse>(MessageType::report_request, report_request(), 0, 1, processor)
        .report;
  }
  // With libcrypto and the certificate alone.
  static bool verifies(const std::vector<u8>& certificate, const AttestationReport& report) {
    const platform::Certificate x509 = platform::parse_certificate(certificate);
    const platform::Key key(X509_get_pubkey(x509.get()));
    std::vector<u8> r(report.signature.r, report.signature.r + 48);
    std::vector<u8> s(report.signature.s, report.signature.s + 48);
    ECDSA_SIG* const signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, BN_lebin2bn(r.data(), 48, nullptr),
                   BN_lebin2bn(s.data(), 48, nullptr));
    u8* der = nullptr;
    const int size = i2d_ECDSA_SIG(signature, &der);
    const platform::DigestContext context(EVP_MD_CTX_new());
    EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha384(), nullptr, key.get());
    const bool good = EVP_DigestVerify(context.get(), der, static_cast<usize>(size),
                                       reinterpret_cast<const u8*>(&report),
                                       AttestationReport::signed_bytes) == 1;
    OPENSSL_free(der);
    ECDSA_SIG_free(signature);
    return good;
  }
};

TEST_F(ChipOf, SignsWithTheCertifiedKeyAtEveryTcb) {
  start_guest();
  for (const Product product : platform::all_products) {
    const Platform& chip = platform::test_platform(product);
    TcbComponents tcb = chip.settings.tcb;
    std::vector<u8> certificate_before;
    for (int step = 0; step < 8; ++step) {
      const AttestationReport report = report_from(chip, tcb);
      const auto certificate = platform::leaf_certificate(chip, Leaf::vcek, tcb);
      EXPECT_EQ(report.reported_tcb, encode_tcb(product, tcb));
      EXPECT_EQ(platform::to_hex(report.chip_id), platform::to_hex(chip.settings.chip_id));
      EXPECT_TRUE(verifies(certificate, report)) << platform::product_name(product) << step;
      if (!certificate_before.empty()) {
        EXPECT_FALSE(verifies(certificate_before, report)) << "the key of another TCB";
      }
      certificate_before = certificate;
      // One component after another goes down.
      u8* const components[] = {&tcb.microcode, &tcb.snp, &tcb.boot_loader, &tcb.tee};
      u8& component = *components[step % 4];
      component = static_cast<u8>(component - (component != 0 ? 1 : 0));
    }
  }
}

TEST_F(ChipOf, SignsWithTheCertifiedVlek) {
  start_guest();
  for (const Product product : platform::all_products) {
    const Platform& chip = platform::test_platform(product);
    TcbComponents lower = chip.settings.tcb;
    lower.snp = 3;
    for (const TcbComponents& tcb : {chip.settings.tcb, lower}) {
      const AttestationReport report = report_from(chip, tcb, true);
      EXPECT_EQ(signer_info::signing_key(report.signer_info), static_cast<u32>(SigningKey::vlek));
      EXPECT_TRUE(verifies(platform::leaf_certificate(chip, Leaf::vlek, tcb), report));
      EXPECT_FALSE(verifies(platform::leaf_certificate(chip, Leaf::vcek, tcb), report));
    }
  }
}

TEST_F(ChipOf, TwoRunsAreOneChip) {
  start_guest();
  const platform::TemporaryDirectory parent;
  ASSERT_TRUE(platform::save(platform::test_platform(Product::genoa), parent / "chip").ok());
  const auto first = platform::load(parent / "chip");
  const auto second = platform::load(parent / "chip");
  ASSERT_TRUE(first.ok() && second.ok());
  const TcbComponents tcb = first->settings.reported_tcb;
  const AttestationReport a = report_from(*first, tcb);
  const AttestationReport b = report_from(*second, tcb);
  EXPECT_EQ(platform::to_hex({reinterpret_cast<const u8*>(&a), sizeof a}),
            platform::to_hex({reinterpret_cast<const u8*>(&b), sizeof b}));
  EXPECT_TRUE(verifies(first->certificates.vcek, b));
}

TEST_F(ChipOf, CommittedTcbIsTheSettings) {
  platform::Settings settings = platform::test_settings(Product::genoa);
  settings.committed_tcb.microcode = 0x80;
  settings.reported_tcb = settings.committed_tcb;
  const Platform chip =
      platform::make_platform(settings, platform::test_secrets(), platform::test_keys());
  Psp processor(config_of(chip), dram, rmp, platform);
  EXPECT_EQ(processor.state().current_tcb, settings.tcb);
  EXPECT_EQ(processor.state().committed_tcb, settings.committed_tcb);
  EXPECT_EQ(processor.state().reported_tcb, settings.committed_tcb);
  put(buffer, SnpCommit{sizeof(SnpCommit)});
  ASSERT_EQ(processor.command(Command::snp_commit, buffer), Status::success);
  EXPECT_EQ(processor.state().committed_tcb, settings.tcb);
}

}  // namespace
}  // namespace softsnp::psp
