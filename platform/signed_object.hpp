// Certificates and revocation lists as AMD writes them: names, times, RSASSA-PSS. Firmware sheet 6.
#pragma once

#include <string>
#include <vector>

#include "platform/calendar.hpp"
#include "platform/encoding.hpp"
#include "platform/pss.hpp"

namespace softsnp::platform {

struct CertificateFields {
  u32 serial = 0;
  std::string subject;  // common names; the rest of the name is AMD's
  std::string issuer;
  Seconds from = 0;
  Seconds until = 0;
  Trailer trailer = Trailer::written;
  std::vector<Extension> extensions;
};
// key: the subject's; public half enough.
Der make_certificate(const CertificateFields& fields, EVP_PKEY& key, EVP_PKEY& issuer_key);
// The part of it that is signed.
Der make_tbs_certificate(const CertificateFields& fields, EVP_PKEY& key);
Der tbs_of(X509& certificate);

struct CrlFields {
  std::string issuer;
  Seconds from = 0;
  Seconds until = 0;
  std::vector<u32> revoked;  // serial numbers, from the CRL's own start
  std::vector<Extension> extensions;
};
Der make_crl(const CrlFields& fields, EVP_PKEY& issuer_key);

}  // namespace softsnp::platform
