#include "attest/certificate.hpp"

#include <openssl/err.h>

#include <ctime>
#include <limits>

#include "attest/openssl.hpp"
#include "attest/report.hpp"
#include "attest/text.hpp"

namespace softsnp::attest {
namespace {

constexpr psp::Product products[] = {psp::Product::milan, psp::Product::genoa, psp::Product::turin};

std::optional<i64> seconds(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return std::nullopt;
  }
  return ::timegm(&parts);
}

std::optional<Period> period(const ASN1_TIME* first, const ASN1_TIME* last) {
  const auto from = seconds(first);
  const auto to = seconds(last);
  return from && to ? std::optional(Period{*from, *to}) : std::nullopt;
}

// Empty unless there is exactly one.
std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) {
    return {};
  }
  const ASN1_STRING* const value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  const auto* const text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(value));
  return {text, static_cast<usize>(ASN1_STRING_length(value))};
}

std::optional<psp::Product> product_named(std::string_view text) {
  for (const psp::Product product : products) {
    if (text == name(product)) {
      return product;
    }
  }
  return std::nullopt;
}

std::optional<psp::Product> product_after(std::string_view prefix, std::string_view text) {
  return text.starts_with(prefix) ? product_named(text.substr(prefix.size())) : std::nullopt;
}

}  // namespace

const char* name(CertificateRole role) {
  switch (role) {
    case CertificateRole::ark:
      return "ARK";
    case CertificateRole::ask:
      return "ASK";
    case CertificateRole::asvk:
      return "ASVK";
    case CertificateRole::vcek:
      return "VCEK";
    case CertificateRole::vlek:
      break;
  }
  return "VLEK";
}

std::optional<Certificate> Certificate::from_der(const std::string& file, std::span<const u8> der) {
  const u8* at = der.data();
  X509Handle handle(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!handle || at != der.data() + der.size()) {
    return std::nullopt;
  }
  Certificate certificate;
  certificate.file_ = file;
  certificate.common_name_ = common_name_of(X509_get_subject_name(handle.get()));
  certificate.handle_ = std::shared_ptr<X509>(handle.release(), X509_free);
  return certificate;
}

std::optional<CertificateRole> Certificate::role() const {
  if (common_name_ == "SEV-VCEK") {
    return CertificateRole::vcek;
  }
  if (common_name_ == "SEV-VLEK") {
    return CertificateRole::vlek;
  }
  if (product_after("ARK-", common_name_)) {
    return CertificateRole::ark;
  }
  if (product_after("SEV-VLEK-", common_name_)) {
    return CertificateRole::asvk;
  }
  return product_after("SEV-", common_name_) ? std::optional(CertificateRole::ask) : std::nullopt;
}

std::optional<psp::Product> Certificate::product() const {
  for (const char* const prefix : {"ARK-", "SEV-VLEK-", "SEV-"}) {
    if (const auto product = product_after(prefix, common_name_)) {
      return product;
    }
  }
  return std::nullopt;
}

std::string Certificate::fingerprint() const {
  u8 sum[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  return X509_digest(handle_.get(), EVP_sha256(), sum, &length) == 1 ? hex_text({sum, length})
                                                                     : std::string("not known");
}

std::optional<Period> Certificate::validity() const {
  return period(X509_get0_notBefore(handle_.get()), X509_get0_notAfter(handle_.get()));
}

bool Certificate::same_as(const Certificate& other) const {
  return X509_cmp(handle_.get(), other.handle_.get()) == 0;
}

EVP_PKEY* Certificate::key() const {
  EVP_PKEY* const key = X509_get0_pubkey(handle_.get());
  ERR_clear_error();
  return key;
}

std::optional<RevocationList> RevocationList::from_der(const std::string& file,
                                                       std::span<const u8> der) {
  const u8* at = der.data();
  CrlHandle handle(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!handle || at != der.data() + der.size()) {
    return std::nullopt;
  }
  RevocationList list;
  list.file_ = file;
  list.handle_ = std::shared_ptr<X509_CRL>(handle.release(), X509_CRL_free);
  return list;
}

std::optional<Period> RevocationList::validity() const {
  const auto from = seconds(X509_CRL_get0_lastUpdate(handle_.get()));
  const ASN1_TIME* const next = X509_CRL_get0_nextUpdate(handle_.get());
  const auto to = next == nullptr ? std::numeric_limits<i64>::max() : seconds(next);
  return from && to ? std::optional(Period{*from, *to}) : std::nullopt;
}

bool RevocationList::lists(const Certificate& certificate) const {
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(certificate.handle());
  STACK_OF(X509_REVOKED)* const entries = X509_CRL_get_REVOKED(handle_.get());
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* const entry = sk_X509_REVOKED_value(entries, i);
    if (ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(entry), serial) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace softsnp::attest
