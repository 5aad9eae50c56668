// X.509 certificates and revocation lists of AMD's endorsement keys. Firmware sheet 6.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/psp/tcb_version.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

struct x509_st;      // libcrypto's X509
struct X509_crl_st;  // and X509_CRL
struct evp_pkey_st;  // and EVP_PKEY

namespace softsnp::attest {

enum class CertificateRole : u8 { ark, ask, asvk, vcek, vlek };
const char* name(CertificateRole role);
constexpr bool is_leaf(CertificateRole role) {
  return role == CertificateRole::vcek || role == CertificateRole::vlek;
}

// Seconds since 1970, UTC; first and last included.
struct Period {
  i64 first = 0;
  i64 last = 0;
  constexpr bool contains(i64 at) const { return first <= at && at <= last; }
};

class Certificate {
 public:
  // DER, nothing behind it. The file's name stays with it, for messages.
  static std::optional<Certificate> from_der(const std::string& file, std::span<const u8> der);

  const std::string& file() const { return file_; }
  const std::string& common_name() const { return common_name_; }
  // By the subject's common name; nothing for a certificate of another kind.
  std::optional<CertificateRole> role() const;
  // Of ARK, ASK and ASVK.
  std::optional<psp::Product> product() const;

  std::string fingerprint() const;  // SHA-256, lower case
  std::optional<Period> validity() const;
  bool same_as(const Certificate& other) const;
  x509_st* handle() const { return handle_.get(); }
  evp_pkey_st* key() const;  // null if libcrypto does not know its kind

 private:
  Certificate() = default;
  std::string file_;
  std::string common_name_;
  std::shared_ptr<x509_st> handle_;
};

class RevocationList {
 public:
  static std::optional<RevocationList> from_der(const std::string& file, std::span<const u8> der);

  const std::string& file() const { return file_; }
  // Without a next update it never ends.
  std::optional<Period> validity() const;
  bool lists(const Certificate& certificate) const;  // by serial number
  X509_crl_st* handle() const { return handle_.get(); }

 private:
  RevocationList() = default;
  std::string file_;
  std::shared_ptr<X509_crl_st> handle_;
};

// What AMD's extensions of a leaf say.
struct LeafExtensions {
  std::string product_name;  // Milan-B0, Genoa-B1, Turin, ...
  psp::Product product = psp::Product::milan;
  psp::TcbVersion tcb;          // in the layout of the product
  std::vector<u8> hardware_id;  // VCEK: 64 bytes, Turin 8
  std::string csp_id;           // VLEK
};

// One line about what is missing, malformed or not known. Strict: a component that is not
// understood would go unchecked.
Result<LeafExtensions, std::string> leaf_extensions(const Certificate& leaf, CertificateRole role);

}  // namespace softsnp::attest
