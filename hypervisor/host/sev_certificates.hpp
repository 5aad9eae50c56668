// What PDH_CERT_EXPORT gives. Firmware sheet 7.1, 7.4.
#pragma once

#include "arch/psp/sev_certificate.hpp"

namespace softsnp::host {

struct SevPlatformCertificates {
  psp::SevCertificate pdh{};
  psp::SevCertificateChain chain{};
};

}  // namespace softsnp::host
