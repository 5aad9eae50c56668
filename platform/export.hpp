// Everything a verifier needs, as files.
#pragma once

#include <string>

#include "base/result.hpp"
#include "platform/platform.hpp"

namespace softsnp::platform {

// Certificates in PEM and DER, the CRL, the certificate tables (certs.bin for VCEK,
// certs-vlek.bin), and a KDS mirror in kds/. Files that are there are replaced.
Result<void, std::string> export_certificates(const Platform& platform,
                                              const std::string& directory);

}  // namespace softsnp::platform
