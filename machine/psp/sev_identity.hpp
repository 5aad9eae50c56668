// The legacy platform's keys and certificates. Firmware sheet 7.4.
#pragma once

#include "arch/psp/sev_session.hpp"
#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

// A platform that owns itself: new OCA, PEK and PDH; the CEK is the chip's.
SevIdentity make_sev_identity(Firmware& firmware);
// A new PDH, signed by the PEK.
void renew_pdh(Firmware& firmware, SevIdentity& identity);

// Into slot of the certificate, ECDSA with SHA-256.
void sign_certificate(const Firmware& firmware, SevCertificate& certificate, usize slot,
                      SevKeyUsage signer, const P384Scalar& key);
// By the PEK.
void sign_report(const Firmware& firmware, SevAttestationReport& report);
P384Scalar cek_key(const Firmware& firmware);

// A P-384 key for this usage, whoever signed it.
bool is_key_certificate(const Firmware& firmware, const SevCertificate& certificate,
                        SevKeyUsage usage);
// One of its two signatures is by signer and good.
bool is_signed_by(const SevCertificate& certificate, const SevCertificate& signer);

// The identity in use becomes what the next INIT finds: in flash or in INIT_EX's buffer. An error
// if that buffer is no longer the firmware's; nothing changed then.
Status save_identity(Firmware& firmware, Request& request, const SevIdentity& identity);
// From an INIT_EX buffer: nothing if it is not one of this chip's, or was altered.
std::optional<SevIdentity> load_identity(Firmware& firmware, SystemPhysical nv);

}  // namespace softsnp::psp
