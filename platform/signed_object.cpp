#include "platform/signed_object.hpp"

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace softsnp::platform {

namespace {

constexpr long version_3 = 2;      // of a certificate
constexpr long crl_version_2 = 1;  // of a CRL

void add_entry(X509_NAME& name, int nid, int type, std::string_view text) {
  require(X509_NAME_add_entry_by_NID(&name, nid, type,
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()), -1, 0) == 1);
}

Name amd_name(std::string_view common_name) {
  Name name(required(X509_NAME_new()));
  add_entry(*name, NID_organizationalUnitName, V_ASN1_UTF8STRING, "Engineering");
  add_entry(*name, NID_countryName, V_ASN1_PRINTABLESTRING, "US");
  add_entry(*name, NID_localityName, V_ASN1_UTF8STRING, "Santa Clara");
  add_entry(*name, NID_stateOrProvinceName, V_ASN1_UTF8STRING, "CA");
  add_entry(*name, NID_organizationName, V_ASN1_UTF8STRING, "Advanced Micro Devices");
  add_entry(*name, NID_commonName, V_ASN1_UTF8STRING, common_name);
  return name;
}

Time asn1_time(Seconds seconds) {
  return Time(required(ASN1_TIME_set(nullptr, seconds)));
}
Integer asn1_integer(u32 value) {
  Integer integer(required(ASN1_INTEGER_new()));
  require(ASN1_INTEGER_set_uint64(integer.get(), value) == 1);
  return integer;
}

// libcrypto sets these two only when it signs itself, which would write another algorithm
// identifier than AMD's and a random salt; it hands them out as constants.
void set_algorithm(const X509_ALGOR* in_object, Trailer trailer) {
  const Algorithm algorithm = pss_algorithm(trailer);
  require(X509_ALGOR_copy(const_cast<X509_ALGOR*>(in_object), algorithm.get()) == 1);
}
void set_signature(const ASN1_BIT_STRING* in_object, const std::vector<u8>& signature) {
  auto* const bits = const_cast<ASN1_BIT_STRING*>(in_object);
  require(ASN1_BIT_STRING_set(bits, const_cast<u8*>(signature.data()),
                              static_cast<int>(signature.size())) == 1);
  bits->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
  bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;  // no unused bits, also if the last are zero
}

template <class T>
Der encode_tbs(T& object, int (*i2d)(T*, u8**)) {
  u8* bytes = nullptr;
  const int length = i2d(&object, &bytes);
  require(length > 0);
  Der der(bytes, bytes + length);
  OPENSSL_free(bytes);
  return der;
}

Certificate unsigned_certificate(const CertificateFields& fields, EVP_PKEY& key) {
  Certificate certificate(required(X509_new()));
  X509* const x509 = certificate.get();
  require(X509_set_version(x509, version_3) == 1);
  require(X509_set_serialNumber(x509, asn1_integer(fields.serial).get()) == 1);
  require(X509_set_subject_name(x509, amd_name(fields.subject).get()) == 1);
  require(X509_set_issuer_name(x509, amd_name(fields.issuer).get()) == 1);
  require(X509_set1_notBefore(x509, asn1_time(fields.from).get()) == 1);
  require(X509_set1_notAfter(x509, asn1_time(fields.until).get()) == 1);
  require(X509_set_pubkey(x509, &key) == 1);
  for (const Extension& extension : fields.extensions) {
    require(X509_add_ext(x509, extension.get(), -1) == 1);
  }
  set_algorithm(X509_get0_tbs_sigalg(x509), fields.trailer);
  return certificate;
}

// libcrypto's own way, for the algorithm identifiers: those of a CRL cannot be reached otherwise.
void sign_with_random_salt(X509_CRL& crl, EVP_PKEY& key) {
  const DigestContext context(required(EVP_MD_CTX_new()));
  EVP_PKEY_CTX* parameters = nullptr;  // the context's
  require(EVP_DigestSignInit(context.get(), &parameters, EVP_sha384(), nullptr, &key) == 1);
  require(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1);
  require(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1);
  require(X509_CRL_sign_ctx(&crl, context.get()) > 0);
}

void revoke(X509_CRL& crl, u32 serial, Seconds when) {
  Revocation revoked(required(X509_REVOKED_new()));
  require(X509_REVOKED_set_serialNumber(revoked.get(), asn1_integer(serial).get()) == 1);
  require(X509_REVOKED_set_revocationDate(revoked.get(), asn1_time(when).get()) == 1);
  require(X509_CRL_add0_revoked(&crl, revoked.get()) == 1);
  static_cast<void>(revoked.release());  // the list's now
}

}  // namespace

Der make_certificate(const CertificateFields& fields, EVP_PKEY& key, EVP_PKEY& issuer_key) {
  const Certificate certificate = unsigned_certificate(fields, key);
  const ASN1_BIT_STRING* signature = nullptr;
  const X509_ALGOR* algorithm = nullptr;
  X509_get0_signature(&signature, &algorithm, certificate.get());
  set_algorithm(algorithm, fields.trailer);
  set_signature(signature, sign_pss(issuer_key, encode_tbs(*certificate, i2d_re_X509_tbs)));
  return to_der(*certificate, i2d_X509);
}

Der make_tbs_certificate(const CertificateFields& fields, EVP_PKEY& key) {
  return encode_tbs(*unsigned_certificate(fields, key), i2d_re_X509_tbs);
}

Der tbs_of(X509& certificate) {
  return encode_tbs(certificate, i2d_re_X509_tbs);
}

Der make_crl(const CrlFields& fields, EVP_PKEY& issuer_key) {
  const RevocationList list(required(X509_CRL_new()));
  X509_CRL* const crl = list.get();
  require(X509_CRL_set_version(crl, crl_version_2) == 1);
  require(X509_CRL_set_issuer_name(crl, amd_name(fields.issuer).get()) == 1);
  require(X509_CRL_set1_lastUpdate(crl, asn1_time(fields.from).get()) == 1);
  require(X509_CRL_set1_nextUpdate(crl, asn1_time(fields.until).get()) == 1);
  for (const u32 serial : fields.revoked) {
    revoke(*crl, serial, fields.from);
  }
  require(X509_CRL_sort(crl) == 1);
  for (const Extension& extension : fields.extensions) {
    require(X509_CRL_add_ext(crl, extension.get(), -1) == 1);
  }
  sign_with_random_salt(*crl, issuer_key);
  const ASN1_BIT_STRING* signature = nullptr;
  const X509_ALGOR* algorithm = nullptr;
  X509_CRL_get0_signature(crl, &signature, &algorithm);
  set_signature(signature, sign_pss(issuer_key, encode_tbs(*crl, i2d_re_X509_CRL_tbs)));
  return to_der(*crl, i2d_X509_CRL);
}

}  // namespace softsnp::platform
