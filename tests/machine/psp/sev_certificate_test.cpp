// The legacy platform's identity, as an owner and a guest owner see it. Firmware sheet 7.4, 7.1.
#include "machine/psp/sev_identity.hpp"
#include "tests/machine/psp/sev_fixture.hpp"

namespace softsnp::psp {
namespace {

bool same(const SevCertificate& a, const SevCertificate& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}
bool same_key(const SevCertificate& a, const SevCertificate& b) {
  return std::memcmp(&a.key, &b.key, sizeof a.key) == 0;
}

// Whoever takes the platform over: an OCA of its own.
class PlatformOwner {
 public:
  PlatformOwner() {
    char group[] = "P-384";
    key_.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", group));
    oca.version = 1;
    oca.usage = 0x1001;
    oca.algorithm = 2;
    oca.key.curve = 2;
    put_number(OSSL_PKEY_PARAM_EC_PUB_X, oca.key.qx);
    put_number(OSSL_PKEY_PARAM_EC_PUB_Y, oca.key.qy);
    sign(oca, 0);
  }
  void sign(SevCertificate& certificate, usize slot) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    Bytes der(200);
    usize size = der.size();
    EXPECT_EQ(EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key_.get()), 1);
    EXPECT_EQ(EVP_DigestSign(context, der.data(), &size, reinterpret_cast<u8*>(&certificate),
                             SevCertificate::signed_bytes),
              1);
    EVP_MD_CTX_free(context);
    const u8* from = der.data();
    ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &from, static_cast<long>(size));
    ASSERT_NE(signature, nullptr);
    SevSignature& to = certificate.signatures[slot];
    to = {};
    to.usage = 0x1001;
    to.algorithm = 2;
    BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), to.ecdsa.r, sizeof to.ecdsa.r);
    BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), to.ecdsa.s, sizeof to.ecdsa.s);
    ECDSA_SIG_free(signature);
  }
  SevCertificate oca{};

 private:
  void put_number(const char* name, u8* to) const {
    BIGNUM* number = nullptr;
    EXPECT_EQ(EVP_PKEY_get_bn_param(key_.get(), name, &number), 1);
    EXPECT_EQ(BN_bn2lebinpad(number, to, 0x48), 0x48);
    BN_free(number);
  }
  OwnerKey key_;
};

class SevCertificateTest : public SevTest {
 protected:
  Status import(const SevCertificate& pek, const SevCertificate& oca) {
    put(input, pek);
    put(input + 0x1000, oca);
    return run(Command::pek_cert_import, import_command());
  }
  static SevPekCertImport import_command() {
    return {input.value(), sizeof(SevCertificate), 0, (input + 0x1000).value(),
            sizeof(SevCertificate)};
  }
  SevCertificate csr() {
    SevPekCsr command{(outside + 0x4000).value(), sizeof(SevCertificate)};
    EXPECT_EQ(run_out(Command::pek_csr, command), Status::success);
    return get<SevCertificate>(outside + 0x4000);
  }
};

TEST_F(SevCertificateTest, the_chain_verifies) {
  snp_and_sev_init();
  SevCertificateChain chain;
  const SevCertificate pdh = exported_pdh(&chain);
  EXPECT_EQ(pdh.version, 1u);
  EXPECT_EQ(pdh.api_major, 1);
  EXPECT_EQ(pdh.api_minor, 55);
  EXPECT_EQ(pdh.usage, 0x1003u);
  EXPECT_EQ(pdh.algorithm, 3u);
  EXPECT_EQ(chain.pek.usage, 0x1002u);
  EXPECT_EQ(chain.oca.usage, 0x1001u);
  EXPECT_EQ(chain.cek.usage, 0x1004u);
  EXPECT_TRUE(owner_verifies(chain.pek, pdh));
  EXPECT_TRUE(owner_verifies(chain.oca, chain.pek));
  EXPECT_TRUE(owner_verifies(chain.cek, chain.pek));
  EXPECT_TRUE(owner_verifies(chain.oca, chain.oca));
  EXPECT_EQ(chain.cek.signatures[0].usage, 0x1000u) << "AMD's signature comes from elsewhere";
  SevCertificate spoilt = pdh;
  spoilt.key.qx[3] ^= 1;
  EXPECT_FALSE(owner_verifies(chain.pek, spoilt));
}

TEST_F(SevCertificateTest, export_tells_its_lengths) {
  SevPdhCertExport command{};
  put(outside, command);
  EXPECT_EQ(psp.command(Command::pdh_cert_export, outside), Status::invalid_platform_state);
  snp_and_sev_init();
  EXPECT_EQ(run_out(Command::pdh_cert_export, command), Status::invalid_length);
  EXPECT_EQ(command.pdh_len, 0x824u);
  EXPECT_EQ(command.chain_len, 0x186Cu);
  command.pdh_paddr = (outside + 0x1000).value();
  command.chain_paddr = output.value();
  EXPECT_EQ(run_out(Command::pdh_cert_export, command), Status::invalid_page_state);
  EXPECT_EQ(bytes_at(outside + 0x1000, 16), Bytes(16)) << "nothing before all is checked";
  SevPekCsr csr_command{0, 0x823};
  EXPECT_EQ(run_out(Command::pek_csr, csr_command), Status::invalid_length);
  EXPECT_EQ(csr_command.length, 0x824u);
}

TEST_F(SevCertificateTest, identity_outlives_a_shutdown) {
  sev_init();
  SevCertificateChain chain;
  const SevCertificate pdh = exported_pdh(&chain);
  ASSERT_EQ(run(Command::pdh_gen), Status::success);
  SevCertificateChain same_chain;
  const SevCertificate next = exported_pdh(&same_chain);
  EXPECT_FALSE(same_key(next, pdh));
  EXPECT_TRUE(same(same_chain.pek, chain.pek));
  EXPECT_TRUE(owner_verifies(chain.pek, next));
  ASSERT_EQ(run(Command::shutdown), Status::success);
  ASSERT_EQ(run(Command::init, init_command()), Status::success);
  EXPECT_TRUE(same(exported_pdh(), next));
  ASSERT_EQ(run(Command::shutdown), Status::success);
  ASSERT_EQ(run(Command::platform_reset), Status::success);
  ASSERT_EQ(run(Command::init, init_command()), Status::success);
  SevCertificateChain reset;
  EXPECT_FALSE(same_key(exported_pdh(&reset), next));
  EXPECT_FALSE(same_key(reset.oca, chain.oca));
  EXPECT_TRUE(same(reset.cek, chain.cek)) << "the chip's";
}

TEST_F(SevCertificateTest, an_owner_takes_the_platform_over) {
  snp_and_sev_init();
  PlatformOwner owner;
  SevCertificateChain before;
  const SevCertificate old_pdh = exported_pdh(&before);
  SevCertificate pek = csr();
  EXPECT_TRUE(same_key(pek, before.pek));
  EXPECT_EQ(pek.signatures[0].usage, 0x1000u);
  EXPECT_EQ(import(pek, owner.oca), Status::bad_signature) << "not signed yet";
  owner.sign(pek, 0);
  SevCertificate wrong = owner.oca;
  wrong.usage = 0x1002;
  EXPECT_EQ(import(pek, wrong), Status::invalid_certificate);
  wrong = owner.oca;
  wrong.signatures[0].ecdsa.r[0] ^= 1;
  EXPECT_EQ(import(pek, wrong), Status::bad_signature);
  wrong = pek;
  wrong.key.qx[0] ^= 1;
  EXPECT_EQ(import(wrong, owner.oca), Status::invalid_certificate) << "another key";
  SevPekCertImport command = import_command();
  command.oca_len = 0x800;
  EXPECT_EQ(run(Command::pek_cert_import, command), Status::invalid_length);
  command = import_command();
  command.mbz_0c = 1;
  EXPECT_EQ(run(Command::pek_cert_import, command), Status::invalid_param);
  EXPECT_EQ(status().owner, 0);
  ASSERT_EQ(import(pek, owner.oca), Status::success);
  EXPECT_EQ(status().owner, SevPlatformStatus::externally_owned);
  EXPECT_EQ(import(pek, owner.oca), Status::already_owned);
  SevCertificateChain after;
  const SevCertificate pdh = exported_pdh(&after);
  EXPECT_TRUE(same(after.oca, owner.oca));
  EXPECT_TRUE(owner_verifies(after.oca, after.pek));
  EXPECT_TRUE(owner_verifies(after.cek, after.pek));
  EXPECT_TRUE(owner_verifies(after.pek, pdh));
  EXPECT_FALSE(same_key(pdh, old_pdh));
  ASSERT_EQ(run(Command::pek_gen), Status::success);
  EXPECT_EQ(status().owner, 0) << "it owns itself again";
  const u32 handle = started();
  EXPECT_EQ(run(Command::pek_gen), Status::invalid_platform_state) << "WORKING";
  EXPECT_EQ(run(Command::pdh_gen), Status::success);
  EXPECT_EQ(of_handle(Command::decommission, handle), Status::success);
}

TEST_F(SevCertificateTest, attestation) {
  snp_and_sev_init();
  const u32 handle = activated(sev_policy::noks);
  SevAttestation command{};
  command.handle = handle;
  EXPECT_EQ(run_out(Command::attestation, command), Status::invalid_guest_state) << "LUPDATE";
  make_firmware(memory_at);
  fill(memory_at, pattern(page_size));
  ASSERT_EQ(update(handle, memory_at, page_size), Status::success);
  SevMeasurement measurement;
  ASSERT_EQ(measure(handle, measurement), Status::success);
  EXPECT_EQ(run_out(Command::attestation, command), Status::invalid_length);
  EXPECT_EQ(command.length, 0xD0u);
  command.paddr = (outside + 0x1000).value();
  std::fill_n(command.nonce, 16, u8{0xA5});
  ASSERT_EQ(run_out(Command::attestation, command), Status::success);
  const auto report = get<SevAttestationReport>(outside + 0x1000);
  EXPECT_EQ(to_hex(report.launch_digest), to_hex(sha256_of(pattern(page_size))));
  EXPECT_EQ(report.policy, sev_policy::noks);
  EXPECT_EQ(report.nonce[15], 0xA5);
  EXPECT_EQ(report.signature_usage, 0x1002u);
  EXPECT_EQ(report.signature_algorithm, 2u);
  SevCertificateChain chain;
  exported_pdh(&chain);
  const std::span<const u8> text{reinterpret_cast<const u8*>(&report), 0x34};
  EXPECT_TRUE(owner_verifies(chain.pek, text, report.r, report.s));
  EXPECT_FALSE(owner_verifies(chain.pek, text.first(0x33), report.r, report.s));
}

}  // namespace
}  // namespace softsnp::psp
