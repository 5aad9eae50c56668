// Verification: what holds, and everything that must not.
#include "attest/verify.hpp"

#include <gtest/gtest.h>

#include "attest/verdict_text.hpp"
#include "tests/attest/known_report.hpp"
#include "tests/attest/tampers.hpp"
#include "tests/attest/test_chain.hpp"

namespace softsnp::attest::test {
namespace {

using psp::AttestationReport;
using psp::Product;
using Names = std::set<std::string>;

void identify(AttestationReport& r, Product product, u32 version) {
  if (version < 3) {
    return;
  }
  r.cpuid_family = product == Product::turin ? 0x1A : 0x19;
  r.cpuid_model = product == Product::milan ? 0x01 : product == Product::genoa ? 0x11 : 0x02;
  r.cpuid_stepping = 1;
}

AttestationReport make_report(const ChainSpec& spec, u32 version = 3) {
  AttestationReport r{};
  r.version = version;
  r.guest_svn = 5;
  r.policy = 0x30000;
  r.signature_algorithm = 1;
  r.current_tcb = r.reported_tcb = r.committed_tcb = r.launch_tcb =
      psp::encode_tcb(spec.product, spec.tcb);
  r.signer_info =
      psp::signer_info::with_key(spec.vlek ? psp::SigningKey::vlek : psp::SigningKey::vcek);
  std::fill(std::begin(r.report_data), std::end(r.report_data), u8{0xDA});
  std::fill(std::begin(r.measurement.bytes), std::end(r.measurement.bytes), u8{0x3E});
  std::fill(std::begin(r.host_data), std::end(r.host_data), u8{0x40});
  std::fill(std::begin(r.report_id_ma), std::end(r.report_id_ma), u8{0xFF});
  const usize id_bytes = spec.product == Product::turin ? 8 : 64;
  std::copy_n(spec.chip_id.begin(), id_bytes, r.chip_id);
  r.current = r.committed = {25, 55, 1, 0};
  identify(r, spec.product, version);
  return r;
}

struct Signed {
  TestChain chain;
  AttestationReport report{};
  Subject subject;

  explicit Signed(const ChainSpec& spec, u32 version = 3) : chain(make_chain(spec)) {
    report = make_report(spec, version);
    sign_report(report, chain.leaf_key.get());
    subject = {
        bytes_of(report), {chain.ark, chain.ask, chain.leaf}, exact_policy(report), test_time};
  }
  void replace(usize which, Bytes with) { subject.credentials[which] = std::move(with); }
  void sign_again(AttestationReport changed) {
    sign_report(changed, chain.leaf_key.get());
    subject.report = bytes_of(changed);
  }
};
constexpr usize ark_file = 0, ask_file = 1, leaf_file = 2;

std::string explain(const Finding& finding) {
  std::string text = finding.bad_input.value_or("");
  for (const auto& [name, detail] : finding.failed) {
    text.append(name).append(": ").append(detail).append("\n");
  }
  return text;
}

void expect_good(const Subject& subject) {
  const Finding finding = examine(subject);
  EXPECT_FALSE(finding.bad_input) << explain(finding);
  EXPECT_TRUE(finding.failed.empty()) << explain(finding);
}

void expect_failing(const Subject& subject, const Names& names, const std::string& detail) {
  const Finding finding = examine(subject);
  EXPECT_FALSE(finding.bad_input) << explain(finding);
  EXPECT_EQ(finding.names(), names) << explain(finding);
  EXPECT_NE(explain(finding).find(detail), std::string::npos) << explain(finding);
}

TEST(Verify, EveryProductKeyAndVersion) {
  for (const Product product : {Product::milan, Product::genoa, Product::turin}) {
    for (const bool vlek : {false, true}) {
      ChainSpec spec;
      spec.product = product;
      spec.vlek = vlek;
      spec.tcb = {product == Product::turin ? u8{3} : u8{0}, 10, 1, 0x16, 0xD5};
      for (const u32 version : {2u, 3u, 4u, 5u}) {
        SCOPED_TRACE(testing::Message() << product_text(product) << vlek << version);
        expect_good(Signed(spec, version).subject);
      }
    }
  }
}

// The signature is the chip's own; only the certificates above its key are ours.
TEST(Verify, TheRealMilanReport) {
  ChainSpec spec;
  spec.product = Product::milan;
  spec.tcb = {0, 3, 0, 8, 0x73};
  const AttestationReport report = fields_of(known_report());
  spec.chip_id.assign(std::begin(report.chip_id), std::end(report.chip_id));
  const KeyHandle key = known_public_key(from_hex(known_qx), from_hex(known_qy));
  Signed signed_report(spec, 2);
  signed_report.replace(leaf_file, make_certificate(leaf_spec(spec, key.get())));
  signed_report.subject.report = known_report();
  signed_report.subject.policy = exact_policy(report);
  expect_good(signed_report.subject);
  signed_report.subject.report[0x50] ^= 1;
  expect_failing(signed_report.subject, {"signature", "policy.report_data"}, "does not verify");
}

TEST(Verify, EveryFieldTamperedAndNotSignedAgain) {
  const Signed good({});
  for (const FieldTamper& tamper : field_tampers()) {
    SCOPED_TRACE(tamper.name);
    Subject subject = good.subject;
    AttestationReport report = good.report;
    tamper.apply(report);
    subject.report = bytes_of(report);
    Names names = tamper.failing;
    if (!tamper.touches_signature) {
      names.insert("signature");
    }
    expect_failing(subject, names, tamper.detail);
  }
}

TEST(Verify, EveryFieldTamperedAndSignedAgain) {
  Signed good({});
  for (const FieldTamper& tamper : field_tampers()) {
    if (tamper.touches_signature) {
      continue;
    }
    SCOPED_TRACE(tamper.name);
    AttestationReport report = good.report;
    tamper.apply(report);
    good.sign_again(report);
    expect_failing(good.subject, tamper.failing, tamper.detail);
  }
}

TEST(Verify, NoReportAtAll) {
  const Signed good({});
  for (const FileTamper& tamper : file_tampers()) {
    Subject subject = good.subject;
    tamper.apply(subject.report);
    const Finding finding = examine(subject);
    ASSERT_TRUE(finding.bad_input) << tamper.name;
    EXPECT_NE(finding.bad_input->find(tamper.error), std::string::npos) << *finding.bad_input;
  }
}

TEST(Verify, AtTheWrongTime) {
  const Signed good({});
  for (const TimeTamper& tamper : time_tampers()) {
    Subject subject = good.subject;
    subject.at += tamper.shift;
    expect_failing(subject, {"validity"}, tamper.detail);
  }
}

TEST(Verify, EachCertificatesTimesCount) {
  const AuthorityKeys& keys = authority_keys();
  const ChainSpec spec;
  Signed late(spec), early(spec);
  CertificateSpec leaf = leaf_spec(spec, late.chain.leaf_key.get());
  leaf.last = test_time - 1;
  late.replace(leaf_file, make_certificate(leaf));
  expect_failing(late.subject, {"validity"}, "SEV-VCEK (file) expired on 2027-01-15T07:59:59Z");
  CertificateSpec ask{"SEV-Genoa", "ARK-Genoa", 0x020001};
  ask.first = test_time + 1;
  ask.key = keys.ask.get();
  ask.signer = keys.ark.get();
  ask.authority = true;
  early.replace(ask_file, make_certificate(ask));
  expect_failing(early.subject, {"validity"}, "SEV-Genoa (file) is not valid before");
}

TEST(Verify, WrongChains) {
  const ChainSpec genoa;
  ChainSpec milan = genoa;
  milan.product = Product::milan;
  const Signed good(genoa);
  const TestChain other = make_chain(genoa);
  const TestChain other_product = make_chain(milan);

  Subject stranger_leaf = good.subject;  // another chip of the same maker
  stranger_leaf.credentials[leaf_file] = other.leaf;
  expect_failing(stranger_leaf, {"signature"}, "does not verify");

  Subject wrong_product = good.subject;  // a true chain, for another product
  wrong_product.credentials = {other_product.ark, other_product.ask, other_product.leaf};
  expect_failing(wrong_product, {"signature", "product"}, "productName is Milan-B0");

  Subject wrong_ask = good.subject;
  wrong_ask.credentials[ask_file] = other_product.ask;
  expect_failing(wrong_ask, {"chain.ask", "chain.leaf", "product"}, "of another product");

  Subject wrong_ark = good.subject;
  wrong_ark.credentials[ark_file] = other_product.ark;
  expect_failing(wrong_ark, {"chain.ask"}, "names another issuer than ARK-Milan");
}

TEST(Verify, ForgedCertificates) {
  const AuthorityKeys& keys = authority_keys();
  const ChainSpec spec;
  const auto with = [&](usize which, const CertificateSpec& made) {
    Signed forged(spec);
    CertificateSpec certificate = made;
    if (which == leaf_file) {
      certificate.key = forged.chain.leaf_key.get();
    }
    forged.replace(which, make_certificate(certificate));
    return forged.subject;
  };
  CertificateSpec leaf = leaf_spec(spec, nullptr);
  leaf.signer = keys.stranger.get();
  expect_failing(with(leaf_file, leaf), {"chain.leaf"}, "the signature is not by SEV-Genoa");
  leaf.signer = keys.ask.get();
  leaf.pss = false;
  expect_failing(with(leaf_file, leaf), {"chain.leaf"}, "RSASSA-PSS");
  leaf.pss = true;
  leaf.digest = "SHA256";
  expect_failing(with(leaf_file, leaf), {"chain.leaf"}, "SHA-384");
  leaf.digest = "SHA384";
  leaf.salt = 32;
  expect_failing(with(leaf_file, leaf), {"chain.leaf"}, "a salt of 48 bytes");

  CertificateSpec ask{"SEV-Genoa", "ARK-Genoa", 0x020001};
  ask.key = keys.ask.get();
  ask.signer = keys.stranger.get();
  ask.authority = true;
  expect_failing(with(ask_file, ask), {"chain.ask"}, "the signature is not by ARK-Genoa");
  ask.signer = keys.ark.get();
  ask.authority = false;
  expect_failing(with(ask_file, ask), {"chain.ask"}, "certificate authority");

  CertificateSpec ark{"ARK-Genoa", "ARK-Genoa", 0x020000};
  ark.key = keys.ark.get();
  ark.signer = keys.stranger.get();
  ark.authority = true;
  expect_failing(with(ark_file, ark), {"chain.ark"}, "the signature is not by ARK-Genoa");
  ark.key = ark.signer = keys.stranger.get();
  expect_failing(with(ark_file, ark), {"chain.ask"}, "the signature is not by ARK-Genoa");
}

TEST(Verify, SmallAuthorityKeyIsRefused) {
  const KeyHandle small = make_rsa_key(2048);
  Signed forged({});
  CertificateSpec ask{"SEV-Genoa", "ARK-Genoa", 0x020001};
  ask.key = small.get();
  ask.signer = authority_keys().ark.get();
  ask.authority = true;
  forged.replace(ask_file, make_certificate(ask));
  CertificateSpec leaf = leaf_spec({}, forged.chain.leaf_key.get());
  leaf.signer = small.get();
  forged.replace(leaf_file, make_certificate(leaf));
  expect_failing(forged.subject, {"chain.ask"}, "RSA-4096");
}

TEST(Verify, LeafOnAnotherCurve) {
  ChainSpec spec;
  spec.curve = "P-256";
  expect_failing(Signed(spec).subject, {"chain.leaf"}, "expected a key on P-384");
}

TEST(Verify, ChangedByteOfACertificate) {
  for (const usize which : {ark_file, ask_file, leaf_file}) {
    Signed good({});
    good.subject.credentials[which].back() ^= 1;
    const char* const names[] = {"chain.ark", "chain.ask", "chain.leaf"};
    expect_failing(good.subject, {names[which]}, "the signature is not by");
  }
}

TEST(Verify, Revocation) {
  const AuthorityKeys& keys = authority_keys();
  const Signed good({});
  const auto with = [&](const RevocationSpec& list) {
    Subject subject = good.subject;
    subject.credentials.push_back(make_revocation_list(list));
    return subject;
  };
  RevocationSpec list{"ARK-Genoa", keys.ark.get(), {0x99}};
  expect_good(with(list));
  list.serials = {0x99, 0x020001};
  expect_failing(with(list), {"revocation"}, "SEV-Genoa (file) is revoked");
  list.serials = {0x77};
  expect_failing(with(list), {"revocation"}, "SEV-VCEK (file) is revoked");
  list.serials = {};
  list.signer = keys.stranger.get();
  expect_failing(with(list), {"revocation"}, "is not signed by ARK-Genoa");
  list.signer = keys.ark.get();
  list.last = test_time - 1;
  expect_failing(with(list), {"revocation"}, "is not of this time");
}

TEST(Verify, LeafExtensionsMustBeWhole) {
  const auto changed = [](const std::string& suffix, const Bytes* contents) {
    Signed made({});
    CertificateSpec leaf = leaf_spec({}, made.chain.leaf_key.get());
    std::erase_if(leaf.extensions, [&](const auto& one) { return one.first == suffix; });
    if (contents != nullptr) {
      leaf.extensions.emplace_back(suffix, *contents);
    }
    made.replace(leaf_file, make_certificate(leaf));
    return made.subject;
  };
  for (const auto& [suffix, label] : std::map<std::string, std::string>{{"1", "structVersion"},
                                                                        {"2", "productName"},
                                                                        {"3.1", "blSPL"},
                                                                        {"3.2", "teeSPL"},
                                                                        {"3.3", "snpSPL"},
                                                                        {"3.8", "ucodeSPL"},
                                                                        {"4", "hwID"}}) {
    expect_failing(changed(suffix, nullptr), {"extensions"}, label);
  }
  const Bytes wide{2, 2, 1, 0}, negative{2, 1, 0xFF}, text = der_text("Rome-B0"),
                                                      behind{2, 1, 1, 0};
  expect_failing(changed("3.8", &wide), {"extensions"}, "ucodeSPL: expected an INTEGER");
  expect_failing(changed("3.1", &negative), {"extensions"}, "blSPL: expected an INTEGER");
  expect_failing(changed("3.2", &behind), {"extensions"}, "teeSPL: expected an INTEGER");
  expect_failing(changed("2", &text), {"extensions"}, "got 'Rome-B0'");
  expect_failing(changed("3.9", &wide), {"extensions"}, "fmcSPL");
  expect_failing(changed("9", &wide), {"extensions"}, "is not known");
  Bytes wrapped{4, 64};
  wrapped.resize(66, 0xC1);
  expect_good(changed("4", &wrapped));
}

TEST(Verify, OtherTcbInTheLeaf) {
  for (const unsigned part : {0u, 1u, 2u, 3u, 4u}) {
    ChainSpec spec;
    spec.product = part == 4 ? Product::turin : Product::milan;
    Signed made(spec);
    u8* const parts[] = {&spec.tcb.boot_loader, &spec.tcb.tee, &spec.tcb.snp, &spec.tcb.microcode,
                         &spec.tcb.fmc};
    ++*parts[part];
    made.replace(leaf_file, make_certificate(leaf_spec(spec, made.chain.leaf_key.get())));
    const char* const names[] = {"boot loader", "TEE", "SNP", "microcode", "FMC"};
    expect_failing(made.subject, {"tcb"}, names[part]);
  }
}

TEST(Verify, MaskedChip) {
  Signed made({});
  AttestationReport report = made.report;
  std::fill(std::begin(report.chip_id), std::end(report.chip_id), u8{0});
  made.subject.policy = exact_policy(report);
  made.sign_again(report);
  expect_good(made.subject);
}

TEST(Verify, WithoutAPolicyDebugAndProvisionalFirmwareAreRefused) {
  Signed made({});
  made.subject.policy = "{}";
  expect_good(made.subject);
  AttestationReport report = made.report;
  report.policy |= 0x80000;
  --report.committed.build;
  made.sign_again(report);
  expect_failing(made.subject, {"policy.allow_debug", "policy.allow_provisional_firmware"},
                 "DEBUG");
  made.subject.policy = R"({"allow_debug": true, "allow_provisional_firmware": true})";
  expect_good(made.subject);
}

TEST(Verify, TheVerdictNamesTheTrustedRoot) {
  const Signed made({});
  Credentials credentials;
  for (const auto& file : made.subject.credentials) {
    ASSERT_TRUE(add_credentials(credentials, "file", file).ok());
  }
  const auto chain = choose_chain(credentials, psp::SigningKey::vcek);
  const Report report{made.report, ReportForm::raw};
  const Verdict verdict = verify({report, *chain, {}, {}, test_time});
  const VerdictContext context{"report.bin", report, chain->ark, test_time};
  const std::string text = verdict_text(verdict, context);
  EXPECT_NE(text.find("trusted: ARK-Genoa in file, SHA-256 " + chain->ark.fingerprint()),
            std::string::npos);
  EXPECT_NE(text.find("\nverified\n"), std::string::npos) << text;
  EXPECT_NE(verdict_json(verdict, context).find("\"verified\": true"), std::string::npos);
}

}  // namespace
}  // namespace softsnp::attest::test
