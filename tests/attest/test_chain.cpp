#include "tests/attest/test_chain.hpp"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <stdexcept>

#include "attest/report.hpp"

namespace softsnp::attest::test {
namespace {

using ExtensionHandle = OpensslHandle<X509_EXTENSION, X509_EXTENSION_free>;
using ObjectHandle = OpensslHandle<ASN1_OBJECT, ASN1_OBJECT_free>;
using OctetsHandle = OpensslHandle<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using NameHandle = OpensslHandle<X509_NAME, X509_NAME_free>;
using RevokedHandle = OpensslHandle<X509_REVOKED, X509_REVOKED_free>;
using TimeHandle = OpensslHandle<ASN1_TIME, ASN1_TIME_free>;
using IntegerHandle = OpensslHandle<ASN1_INTEGER, ASN1_INTEGER_free>;

void must(bool good) {
  if (!good) {
    throw std::runtime_error("libcrypto refused what the test asked of it");
  }
}

NameHandle make_name(const std::string& common_name) {
  NameHandle name(X509_NAME_new());
  const std::pair<const char*, std::string> parts[] = {
      {"OU", "Engineering"},           {"C", "US"},        {"L", "Santa Clara"}, {"ST", "CA"},
      {"O", "Advanced Micro Devices"}, {"CN", common_name}};
  for (const auto& [field, text] : parts) {
    must(X509_NAME_add_entry_by_txt(name.get(), field, MBSTRING_UTF8,
                                    reinterpret_cast<const u8*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1);
  }
  return name;
}

void add_standard(X509* certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionHandle extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  must(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

void add_amd(X509* certificate, const std::string& suffix, const Bytes& contents) {
  const std::string oid = "1.3.6.1.4.1.3704.1." + suffix;
  const ObjectHandle object(OBJ_txt2obj(oid.c_str(), 1));
  const OctetsHandle octets(ASN1_OCTET_STRING_new());
  must(ASN1_OCTET_STRING_set(octets.get(), contents.data(), static_cast<int>(contents.size())) ==
       1);
  const ExtensionHandle extension(
      X509_EXTENSION_create_by_OBJ(nullptr, object.get(), 0, octets.get()));
  must(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

void start_signing(EVP_MD_CTX* context, EVP_PKEY* signer, const char* digest, bool pss, int salt) {
  EVP_PKEY_CTX* parameters = nullptr;
  must(EVP_DigestSignInit_ex(context, &parameters, digest, nullptr, nullptr, signer, nullptr) == 1);
  if (pss) {
    must(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, salt) == 1);
  }
}

template <class T>
Bytes der_of(T* object, int (*encode)(const T*, u8**)) {
  const int size = encode(object, nullptr);
  must(size > 0);
  Bytes der(static_cast<usize>(size));
  u8* at = der.data();
  encode(object, &at);
  return der;
}

long ark_serial(psp::Product product) {
  return (static_cast<long>(product) + 1) << 16;
}

}  // namespace

KeyHandle make_rsa_key(unsigned bits) {
  KeyHandle key(EVP_RSA_gen(bits));
  must(key != nullptr);
  return key;
}

KeyHandle make_ec_key(const char* group) {
  KeyHandle key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", group));
  must(key != nullptr);
  return key;
}

KeyHandle known_public_key(const Bytes& qx, const Bytes& qy) {
  Bytes point{4};
  point.insert(point.end(), qx.begin(), qx.end());
  point.insert(point.end(), qy.begin(), qy.end());
  char group[] = "P-384";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
      OSSL_PARAM_construct_end()};
  const OpensslHandle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  must(EVP_PKEY_fromdata_init(context.get()) == 1 &&
       EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) == 1);
  return KeyHandle(key);
}

const AuthorityKeys& authority_keys() {
  static const AuthorityKeys keys{make_rsa_key(4096), make_rsa_key(4096), make_rsa_key(4096)};
  return keys;
}

Bytes make_certificate(const CertificateSpec& spec) {
  const X509Handle certificate(X509_new());
  X509* const x = certificate.get();
  must(X509_set_version(x, 2) == 1 &&
       X509_set_subject_name(x, make_name(spec.subject).get()) == 1 &&
       X509_set_issuer_name(x, make_name(spec.issuer).get()) == 1 &&
       ASN1_INTEGER_set(X509_get_serialNumber(x), spec.serial) == 1 &&
       ASN1_TIME_set(X509_getm_notBefore(x), spec.first) != nullptr &&
       ASN1_TIME_set(X509_getm_notAfter(x), spec.last) != nullptr &&
       X509_set_pubkey(x, spec.key) == 1);
  if (spec.authority) {
    add_standard(x, NID_basic_constraints, "critical,CA:TRUE");
    add_standard(x, NID_key_usage, "critical,keyCertSign,cRLSign");
  }
  for (const auto& [suffix, contents] : spec.extensions) {
    add_amd(x, suffix, contents);
  }
  const DigestHandle context(EVP_MD_CTX_new());
  start_signing(context.get(), spec.signer, spec.digest, spec.pss, spec.salt);
  must(X509_sign_ctx(x, context.get()) > 0);
  return der_of<X509>(x, i2d_X509);
}

Bytes make_revocation_list(const RevocationSpec& spec) {
  const CrlHandle list(X509_CRL_new());
  const TimeHandle first(ASN1_TIME_set(nullptr, spec.first)),
      last(ASN1_TIME_set(nullptr, spec.last));
  must(X509_CRL_set_version(list.get(), 1) == 1 &&
       X509_CRL_set_issuer_name(list.get(), make_name(spec.issuer).get()) == 1 &&
       X509_CRL_set1_lastUpdate(list.get(), first.get()) == 1 &&
       X509_CRL_set1_nextUpdate(list.get(), last.get()) == 1);
  for (const long serial : spec.serials) {
    const IntegerHandle number(ASN1_INTEGER_new());
    RevokedHandle entry(X509_REVOKED_new());
    must(ASN1_INTEGER_set(number.get(), serial) == 1 &&
         X509_REVOKED_set_serialNumber(entry.get(), number.get()) == 1 &&
         X509_REVOKED_set_revocationDate(entry.get(), first.get()) == 1 &&
         X509_CRL_add0_revoked(list.get(), entry.get()) == 1);
    static_cast<void>(entry.release());
  }
  const DigestHandle context(EVP_MD_CTX_new());
  start_signing(context.get(), spec.signer, "SHA384", true, RSA_PSS_SALTLEN_DIGEST);
  must(X509_CRL_sign_ctx(list.get(), context.get()) > 0);
  return der_of<X509_CRL>(list.get(), i2d_X509_CRL);
}

Bytes der_integer(u8 value) {
  return value < 0x80 ? Bytes{2, 1, value} : Bytes{2, 2, 0, value};
}

Bytes der_text(const std::string& text) {
  Bytes der{0x16, static_cast<u8>(text.size())};
  der.insert(der.end(), text.begin(), text.end());
  return der;
}

std::string product_text(psp::Product product) {
  return std::string(name(product));
}

long ask_serial(psp::Product product) {
  return ark_serial(product) + 1;
}

// In the order of real ones (firmware sheet 6).
std::vector<std::pair<std::string, Bytes>> leaf_extension_list(const ChainSpec& spec) {
  const bool turin = spec.product == psp::Product::turin;
  const char* const stepping = spec.vlek || turin                    ? ""
                               : spec.product == psp::Product::milan ? "-B0"
                                                                     : "-B1";
  const std::string wanted =
      spec.product_name.empty() ? product_text(spec.product) + stepping : spec.product_name;
  std::vector<std::pair<std::string, Bytes>> list = {{"1", der_integer(turin ? 1 : 0)},
                                                     {"2", der_text(wanted)}};
  if (turin) {
    list.emplace_back("3.9", der_integer(spec.tcb.fmc));
  }
  list.emplace_back("3.1", der_integer(spec.tcb.boot_loader));
  list.emplace_back("3.2", der_integer(spec.tcb.tee));
  for (const char* const suffix : {"3.4", "3.5", "3.6", "3.7"}) {
    list.emplace_back(suffix, der_integer(0));
  }
  list.emplace_back("3.3", der_integer(spec.tcb.snp));
  list.emplace_back("3.8", der_integer(spec.tcb.microcode));
  if (spec.vlek) {
    list.emplace_back("5", der_text("a cloud"));
  } else {
    const Bytes& id = spec.chip_id;
    list.emplace_back("4", turin ? Bytes(id.begin(), id.begin() + 8) : id);
  }
  return list;
}

CertificateSpec leaf_spec(const ChainSpec& spec, EVP_PKEY* key) {
  CertificateSpec leaf;
  leaf.subject = spec.vlek ? "SEV-VLEK" : "SEV-VCEK";
  leaf.issuer = (spec.vlek ? "SEV-VLEK-" : "SEV-") + product_text(spec.product);
  leaf.serial = spec.leaf_serial;
  leaf.key = key;
  leaf.signer = authority_keys().ask.get();
  leaf.extensions = leaf_extension_list(spec);
  return leaf;
}

TestChain make_chain(const ChainSpec& spec) {
  const AuthorityKeys& keys = authority_keys();
  const std::string product = product_text(spec.product);
  TestChain chain;
  chain.leaf_key = make_ec_key(spec.curve);
  CertificateSpec ark;
  ark.subject = ark.issuer = "ARK-" + product;
  ark.serial = ark_serial(spec.product);
  ark.key = ark.signer = keys.ark.get();
  ark.authority = true;
  chain.ark = make_certificate(ark);
  CertificateSpec ask = ark;
  ask.subject = (spec.vlek ? "SEV-VLEK-" : "SEV-") + product;
  ask.serial = spec.ask_serial != 0 ? spec.ask_serial : ask_serial(spec.product);
  ask.key = keys.ask.get();
  chain.ask = make_certificate(ask);
  chain.leaf = make_certificate(leaf_spec(spec, chain.leaf_key.get()));
  return chain;
}

void sign_report(psp::AttestationReport& report, EVP_PKEY* key) {
  const DigestHandle context(EVP_MD_CTX_new());
  const auto message = signed_part(report);
  usize size = 256;
  Bytes der(size);
  must(EVP_DigestSignInit_ex(context.get(), nullptr, "SHA384", nullptr, nullptr, key, nullptr) ==
           1 &&
       EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) == 1);
  const u8* at = der.data();
  const EcdsaHandle pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  report.signature = {};
  must(pair && BN_bn2lebinpad(ECDSA_SIG_get0_r(pair.get()), report.signature.r, 72) == 72 &&
       BN_bn2lebinpad(ECDSA_SIG_get0_s(pair.get()), report.signature.s, 72) == 72);
}

}  // namespace softsnp::attest::test
