// Certificates field by field against AMD's profile (firmware sheet 6).
#include "platform/profile.hpp"

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <string_view>

#include "platform/pss.hpp"
#include "tests/platform/fixture.hpp"

namespace softsnp::platform {
namespace {

std::string oid_text(const ASN1_OBJECT* object) {
  std::array<char, 80> text{};
  OBJ_obj2txt(text.data(), text.size(), object, 1);
  return text.data();
}

struct SeenExtension {
  std::string oid;
  bool critical;
  std::string content;  // of extnValue
  friend bool operator==(const SeenExtension&, const SeenExtension&) = default;
};
void PrintTo(const SeenExtension& extension, std::ostream* out) {
  *out << extension.oid << (extension.critical ? " critical " : " ") << extension.content;
}
std::vector<SeenExtension> extensions_of(X509& certificate) {
  std::vector<SeenExtension> all;
  for (int at = 0; at < X509_get_ext_count(&certificate); ++at) {
    X509_EXTENSION* const extension = X509_get_ext(&certificate, at);
    const ASN1_OCTET_STRING* const data = X509_EXTENSION_get_data(extension);
    all.push_back({oid_text(X509_EXTENSION_get_object(extension)),
                   X509_EXTENSION_get_critical(extension) != 0,
                   to_hex({data->data, static_cast<usize>(data->length)})});
  }
  return all;
}

std::string hex_of(std::string_view text) {
  return to_hex({reinterpret_cast<const u8*>(text.data()), text.size()});
}
// An RDN with one attribute of the form 2.5.4.n; everything is short.
std::string rdn(u8 attribute, u8 type, std::string_view text) {
  const auto size = static_cast<u8>(text.size());
  const u8 head[] = {0x31,      static_cast<u8>(size + 9),
                     0x30,      static_cast<u8>(size + 7),
                     6,         3,
                     0x55,      4,
                     attribute, type,
                     size};
  return to_hex(head) + hex_of(text);
}
std::string amd_name(std::string_view common_name) {
  constexpr u8 utf8 = 0x0C, printable = 0x13;
  const std::string rdns = rdn(11, utf8, "Engineering") + rdn(6, printable, "US") +
                           rdn(7, utf8, "Santa Clara") + rdn(8, utf8, "CA") +
                           rdn(10, utf8, "Advanced Micro Devices") + rdn(3, utf8, common_name);
  const auto size = static_cast<u8>(rdns.size() / 2);
  return (size < 0x80 ? "30" : "3081") + to_hex({&size, 1}) + rdns;
}

constexpr const char* algorithm_with_trailer =
    "304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108"
    "300d06096086480165030402020500a203020130a303020101";
constexpr const char* algorithm_without_trailer =
    "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108"
    "300d06096086480165030402020500a203020130";

class Profiled : public testing::TestWithParam<Product> {
 protected:
  const Platform& platform = test_platform(GetParam());
  const Certificates& certificates = platform.certificates;
  std::string name = product_name(GetParam());
  u32 generation = static_cast<u32>(GetParam()) + 1;  // Milan 1, Genoa 2, Turin 3
  bool turin = GetParam() == Product::turin;
  Certificate ark = parse_certificate(certificates.ark);
  Certificate ask = parse_certificate(certificates.ask);
  Certificate asvk = parse_certificate(certificates.asvk);
  Certificate vcek = parse_certificate(certificates.vcek);
  Certificate vlek = parse_certificate(certificates.vlek);

  static void expect_names(X509& certificate, const std::string& subject,
                           const std::string& issuer) {
    EXPECT_EQ(to_hex(to_der(*X509_get_subject_name(&certificate), i2d_X509_NAME)),
              amd_name(subject));
    EXPECT_EQ(to_hex(to_der(*X509_get_issuer_name(&certificate), i2d_X509_NAME)), amd_name(issuer));
    EXPECT_EQ(X509_get_version(&certificate), 2) << "v3";
  }
  static u64 serial(X509& certificate) {
    u64 number = ~u64{0};
    ASN1_INTEGER_get_uint64(&number, X509_get_serialNumber(&certificate));
    return number;
  }
  static std::string times(X509& certificate) {
    const auto text = [](const ASN1_TIME* time) {
      return std::string(reinterpret_cast<const char*>(time->data),
                         static_cast<usize>(time->length));
    };
    return text(X509_get0_notBefore(&certificate)) + " " + text(X509_get0_notAfter(&certificate));
  }
  static void expect_algorithms(X509& certificate, const char* algorithm) {
    const X509_ALGOR* outer = nullptr;
    X509_get0_signature(nullptr, &outer, &certificate);
    EXPECT_EQ(to_hex(to_der(*outer, i2d_X509_ALGOR)), algorithm);
    EXPECT_EQ(to_hex(to_der(*X509_get0_tbs_sigalg(&certificate), i2d_X509_ALGOR)), algorithm);
  }
  static std::string key_id(X509& certificate) {
    std::array<u8, 20> id{};
    unsigned size = 0;
    X509_pubkey_digest(&certificate, EVP_sha1(), id.data(), &size);
    return to_hex(id);
  }
  std::string crl_point(const char* kind) const {
    const std::string url = std::string("https://kdsintf.amd.com/") + kind + "/v1/" + name + "/crl";
    const auto size = static_cast<u8>(url.size());
    const u8 head[] = {0x30, static_cast<u8>(size + 8),
                       0x30, static_cast<u8>(size + 6),
                       0xA0, static_cast<u8>(size + 4),
                       0xA0, static_cast<u8>(size + 2),
                       0x86, size};
    return to_hex(head) + hex_of(url);
  }
  std::vector<SeenExtension> levels() const {
    const auto level = [](int number, const char* value) {
      return SeenExtension{"1.3.6.1.4.1.3704.1.3." + std::to_string(number), false, value};
    };
    const char *bl = "020109", *tee = "020101", *snp = "020116", *ucode = "020200d5",
               *fmc = "020102", *none = "020100";
    if (turin) {
      return {level(9, fmc),  level(1, bl),   level(2, tee),  level(3, snp),
              level(5, none), level(6, none), level(7, none), level(8, ucode)};
    }
    return {level(1, bl),   level(2, tee),  level(4, none), level(5, none),
            level(6, none), level(7, none), level(3, snp),  level(8, ucode)};
  }
  std::vector<SeenExtension> leaf_extensions(const std::string& product,
                                             const SeenExtension& last) const {
    const u8 head[] = {0x16, static_cast<u8>(product.size())};
    std::vector<SeenExtension> all = {
        {"1.3.6.1.4.1.3704.1.1", false, turin ? "020101" : "020100"},
        {"1.3.6.1.4.1.3704.1.2", false, to_hex(head) + hex_of(product)}};
    for (const SeenExtension& level : levels()) {
      all.push_back(level);
    }
    all.push_back(last);
    return all;
  }
};

TEST_P(Profiled, Names) {
  expect_names(*ark, "ARK-" + name, "ARK-" + name);
  expect_names(*ask, "SEV-" + name, "ARK-" + name);
  expect_names(*asvk, "SEV-VLEK-" + name, "ARK-" + name);
  expect_names(*vcek, "SEV-VCEK", "SEV-" + name);
  expect_names(*vlek, "SEV-VLEK", "SEV-VLEK-" + name);
}

TEST_P(Profiled, SerialNumbers) {
  EXPECT_EQ(serial(*ark), generation << 16);
  EXPECT_EQ(serial(*ask), generation << 16 | (generation == 2 ? 2u : 1u));
  EXPECT_EQ(serial(*asvk), generation << 16 | 0x101u);
  EXPECT_EQ(serial(*vcek), 0u);
  EXPECT_EQ(serial(*vlek), 0u);
}

TEST_P(Profiled, Validity) {
  // RFC 5280: two digits of the year until 2049, four from 2050.
  for (X509* const authority : {ark.get(), ask.get(), asvk.get()}) {
    EXPECT_EQ(times(*authority), "260101000000Z 20510101000000Z");
  }
  EXPECT_EQ(times(*vcek), "260101000000Z 330101000000Z");
  EXPECT_EQ(times(*vlek), "260101000000Z 270101000000Z");
}

TEST_P(Profiled, Algorithms) {
  for (X509* const authority : {ark.get(), ask.get(), asvk.get()}) {
    expect_algorithms(*authority, algorithm_with_trailer);
  }
  for (X509* const leaf : {vcek.get(), vlek.get()}) {
    expect_algorithms(*leaf, turin ? algorithm_without_trailer : algorithm_with_trailer);
  }
}

TEST_P(Profiled, AuthoritiesExtensions) {
  const SeenExtension ark_id{"2.5.29.14", false, "0414" + key_id(*ark)};
  EXPECT_EQ(extensions_of(*ark),
            (std::vector<SeenExtension>{{"2.5.29.15", true, "03020106"},
                                        ark_id,
                                        {"2.5.29.19", true, "30030101ff"},
                                        {"2.5.29.31", false, crl_point("vcek")}}));
  const auto expect_signer = [&](X509& signer, const char* kind) {
    EXPECT_EQ(extensions_of(signer),
              (std::vector<SeenExtension>{{"2.5.29.14", false, "0414" + key_id(signer)},
                                          {"2.5.29.35", false, "30168014" + key_id(*ark)},
                                          {"2.5.29.19", true, "30060101ff020100"},
                                          {"2.5.29.15", true, "03020104"},
                                          {"2.5.29.31", false, crl_point(kind)}}));
  };
  expect_signer(*ask, "vcek");
  expect_signer(*asvk, "vlek");
}

TEST_P(Profiled, LeavesExtensions) {
  const std::string id =
      to_hex(std::span(platform.settings.chip_id).first(turin ? usize{8} : usize{64}));
  const std::string steppings[] = {"Milan-B0", "Genoa-B1", "Turin"};
  EXPECT_EQ(extensions_of(*vcek),
            leaf_extensions(steppings[generation - 1], {"1.3.6.1.4.1.3704.1.4", false, id}));
  EXPECT_EQ(extensions_of(*vlek),
            leaf_extensions(name, {"1.3.6.1.4.1.3704.1.5", false, "160a" + hex_of("Test Cloud")}));
}

TEST_P(Profiled, Keys) {
  for (X509* const authority : {ark.get(), ask.get(), asvk.get()}) {
    EVP_PKEY* const key = X509_get0_pubkey(authority);
    EXPECT_EQ(EVP_PKEY_is_a(key, "RSA"), 1);
    EXPECT_EQ(EVP_PKEY_get_bits(key), 4096);
    BIGNUM* exponent = nullptr;
    EVP_PKEY_get_bn_param(key, "e", &exponent);
    EXPECT_EQ(BN_get_word(exponent), 65537u);
    BN_free(exponent);
  }
  for (X509* const leaf : {vcek.get(), vlek.get()}) {
    const std::string spki = to_hex(to_der(*X509_get_X509_PUBKEY(leaf), i2d_X509_PUBKEY));
    EXPECT_EQ(spki.substr(0, 48), "3076301006072a8648ce3d020106052b8104002203620004")
        << "named curve secp384r1, uncompressed point";
  }
}

TEST_P(Profiled, SignaturesVerify) {
  EXPECT_EQ(X509_verify(ark.get(), X509_get0_pubkey(ark.get())), 1);
  EXPECT_EQ(X509_verify(ask.get(), X509_get0_pubkey(ark.get())), 1);
  EXPECT_EQ(X509_verify(asvk.get(), X509_get0_pubkey(ark.get())), 1);
  EXPECT_EQ(X509_verify(vcek.get(), X509_get0_pubkey(ask.get())), 1);
  EXPECT_EQ(X509_verify(vlek.get(), X509_get0_pubkey(asvk.get())), 1);
  EXPECT_NE(X509_verify(vlek.get(), X509_get0_pubkey(ask.get())), 1);
}

// Extended guest requests give certificates to guests, and runs repeat.
TEST_P(Profiled, Repeats) {
  const Platform again = make_test_platform(GetParam());
  EXPECT_EQ(again.certificates.ark, certificates.ark);
  EXPECT_EQ(again.certificates.vcek, certificates.vcek);
  EXPECT_EQ(again.certificates.vlek, certificates.vlek);
  EXPECT_EQ(again.certificates.crl, certificates.crl);
}

INSTANTIATE_TEST_SUITE_P(Products, Profiled, testing::ValuesIn(all_products),
                         [](const auto& info) { return product_name(info.param); });

TEST(Pss, SaltsDifferFromMessageToMessage) {
  const RootKeys keys = test_keys();
  const u8 one[] = {1}, two[] = {2};
  EXPECT_EQ(sign_pss(*keys.ark, one), sign_pss(*keys.ark, one));
  EXPECT_NE(sign_pss(*keys.ark, one), sign_pss(*keys.ark, two));
  EXPECT_NE(sign_pss(*keys.ark, one), sign_pss(*keys.ask, one));
}

// By libcrypto's own verification, with the salt's length demanded.
TEST(Pss, ManySignaturesVerify) {
  const RootKeys keys = test_keys();
  for (u8 message = 0; message < 32; ++message) {
    const std::vector<u8> signature = sign_pss(*keys.ask, {&message, 1});
    const DigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    EVP_DigestVerifyInit(context.get(), &parameters, EVP_sha384(), nullptr, keys.ask.get());
    EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, 48);
    EXPECT_EQ(EVP_DigestVerify(context.get(), signature.data(), signature.size(), &message, 1), 1);
    const u8 other = message ^ 1u;
    EVP_DigestVerifyInit(context.get(), &parameters, EVP_sha384(), nullptr, keys.ask.get());
    EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
    EXPECT_NE(EVP_DigestVerify(context.get(), signature.data(), signature.size(), &other, 1), 1);
  }
}

}  // namespace
}  // namespace softsnp::platform
