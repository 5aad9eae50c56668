// What an attestation binds together. SVSM sheet 5. Freestanding.
#pragma once

#include "guest/svsm/manifest.hpp"

namespace softsnp::svsm {

// SHA-512 of the nonce followed by the manifest.
void make_report_data(const u8 (&nonce)[nonce_bytes], const Manifest& manifest, u8 (&data)[64]);

}  // namespace softsnp::svsm
