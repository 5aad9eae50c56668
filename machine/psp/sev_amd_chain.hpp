// AMD's part of a legacy certificate chain: ARK and ASK, RSA. Firmware sheet 7.4.
#pragma once

#include <span>

#include "arch/psp/sev_certificate.hpp"

namespace softsnp::psp {

// SHA-384 of an ARK's public exponent and modulus, as they stand in its certificate.
Digest amd_key_digest(std::span<const u8> exponent, std::span<const u8> modulus);

// certificates: ASK, then ARK, nothing else. The ARK is the trusted one and signed itself and the
// ASK; the ASK signed the CEK.
bool amd_chain_holds(std::span<const u8> certificates, const SevCertificate& cek,
                     const Digest& trusted_ark);

}  // namespace softsnp::psp
