#include "machine/psp/sev_identity.hpp"

#include <algorithm>
#include <type_traits>

#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/aes_gcm.hpp"
#include "machine/psp/id_block.hpp"
#include "machine/psp/kdf.hpp"
#include "machine/psp/sev_operands.hpp"

namespace softsnp::psp {

namespace {

// More than the order has, so that no key is favoured (FIPS 186-5, A.2.1).
constexpr usize key_seed_bytes = 56;
using KeySeed = std::array<u8, key_seed_bytes>;

P384Scalar new_key(Firmware& firmware) {
  KeySeed seed;
  draw(firmware.state.drbg, firmware.sha, seed);
  return firmware.p384.reduce(seed);
}

SevCertificate new_certificate(const Firmware& firmware, SevKeyUsage usage, SevAlgorithm algorithm,
                               const P384Scalar& key) {
  SevCertificate certificate{};
  certificate.version = SevCertificate::version_1;
  certificate.api_major = firmware.config.version.major;
  certificate.api_minor = firmware.config.version.minor;
  certificate.usage = static_cast<u32>(usage);
  certificate.algorithm = static_cast<u32>(algorithm);
  certificate.key = firmware.p384.public_key(key);
  for (SevSignature& signature : certificate.signatures) {
    signature.usage = static_cast<u32>(SevKeyUsage::none);
  }
  return certificate;
}

std::span<const u8> signed_part(const SevCertificate& certificate) {
  return {reinterpret_cast<const u8*>(&certificate), SevCertificate::signed_bytes};
}

// SHA-256 as a number of 48 bytes: behind zeros.
Digest sha256_number(std::span<const u8> bytes) {
  Digest digest;
  const Sha256Digest hash = sha256(bytes);
  std::copy(hash.begin(), hash.end(), digest.bytes + (digest_bytes - hash.size()));
  return digest;
}

// What lies in the host's NV buffer: sealed, for it is the host that keeps it.
struct SealedIdentity {
  static constexpr u32 magic_number = 0x4E564553;  // "SEVN"
  u32 magic;
  u8 iv[12];
  u8 tag[16];
  u8 identity[sizeof(SevIdentity)];
};
static_assert(sizeof(SealedIdentity) <= SevInitEx::nv_bytes);
static_assert(std::is_trivially_copyable_v<SevIdentity>);

Key256 nv_key(const Firmware& firmware) {
  Key256 key;
  derive_key(firmware.keys.chip().secret, "sev-nv-storage", {}, key);
  return key;
}

std::span<const u8> magic_of(const SealedIdentity& sealed) {
  return {reinterpret_cast<const u8*>(&sealed.magic), sizeof sealed.magic};
}

void write_nv(Firmware& firmware, SystemPhysical nv, const SevIdentity& identity) {
  SealedIdentity sealed{};
  sealed.magic = SealedIdentity::magic_number;
  draw(firmware.state.drbg, firmware.sha, sealed.iv);
  store_le(sealed.identity, identity);
  const Key256 key = nv_key(firmware);
  store_le(sealed.tag, gcm_seal({key, sealed.iv, magic_of(sealed)}, sealed.identity));
  firmware.port.write_value(nv, sealed);
}

}  // namespace

void sign_certificate(const Firmware& firmware, SevCertificate& certificate, usize slot,
                      SevKeyUsage signer, const P384Scalar& key) {
  SevSignature& signature = certificate.signatures[slot];
  signature.usage = static_cast<u32>(signer);
  signature.algorithm = static_cast<u32>(SevAlgorithm::ecdsa_sha256);
  signature.ecdsa = firmware.p384.sign(key, sha256_number(signed_part(certificate)));
}

void sign_report(const Firmware& firmware, SevAttestationReport& report) {
  report.signature_usage = static_cast<u32>(SevKeyUsage::pek);
  report.signature_algorithm = static_cast<u32>(SevAlgorithm::ecdsa_sha256);
  const std::span<const u8> bytes{reinterpret_cast<const u8*>(&report),
                                  SevAttestationReport::signed_bytes};
  const EcdsaSignature signature =
      firmware.p384.sign(firmware.state.sev.identity->pek_key, sha256_number(bytes));
  std::copy_n(signature.r, sizeof report.r, report.r);
  std::copy_n(signature.s, sizeof report.s, report.s);
}

P384Scalar cek_key(const Firmware& firmware) {
  KeySeed seed;
  derive_key(firmware.keys.chip().secret, "sev-chip-endorsement-key", {}, seed);
  return firmware.p384.reduce(seed);
}

void renew_pdh(Firmware& firmware, SevIdentity& identity) {
  identity.pdh_key = new_key(firmware);
  identity.pdh =
      new_certificate(firmware, SevKeyUsage::pdh, SevAlgorithm::ecdh_sha256, identity.pdh_key);
  sign_certificate(firmware, identity.pdh, 0, SevKeyUsage::pek, identity.pek_key);
}

SevIdentity make_sev_identity(Firmware& firmware) {
  SevIdentity identity;
  const P384Scalar cek = cek_key(firmware);
  identity.cek = new_certificate(firmware, SevKeyUsage::cek, SevAlgorithm::ecdsa_sha256, cek);
  identity.oca_key = new_key(firmware);
  identity.oca =
      new_certificate(firmware, SevKeyUsage::oca, SevAlgorithm::ecdsa_sha256, identity.oca_key);
  sign_certificate(firmware, identity.oca, 0, SevKeyUsage::oca, identity.oca_key);
  identity.pek_key = new_key(firmware);
  identity.pek =
      new_certificate(firmware, SevKeyUsage::pek, SevAlgorithm::ecdsa_sha256, identity.pek_key);
  sign_certificate(firmware, identity.pek, 0, SevKeyUsage::oca, identity.oca_key);
  sign_certificate(firmware, identity.pek, 1, SevKeyUsage::cek, cek);
  renew_pdh(firmware, identity);
  return identity;
}

bool is_key_certificate(const Firmware& firmware, const SevCertificate& certificate,
                        SevKeyUsage usage) {
  const auto algorithm = static_cast<SevAlgorithm>(certificate.algorithm);
  const bool exchange = usage == SevKeyUsage::pdh;
  const bool fits =
      exchange ? algorithm == SevAlgorithm::ecdh_sha256 || algorithm == SevAlgorithm::ecdh_sha384
               : algorithm == SevAlgorithm::ecdsa_sha256 || algorithm == SevAlgorithm::ecdsa_sha384;
  return certificate.version == SevCertificate::version_1 &&
         certificate.usage == static_cast<u32>(usage) && fits &&
         firmware.p384.on_curve(certificate.key);
}

bool is_signed_by(const SevCertificate& certificate, const SevCertificate& signer) {
  for (const SevSignature& signature : certificate.signatures) {
    const auto algorithm = static_cast<SevAlgorithm>(signature.algorithm);
    const bool sha384 = algorithm == SevAlgorithm::ecdsa_sha384;
    if (signature.usage == signer.usage && (sha384 || algorithm == SevAlgorithm::ecdsa_sha256) &&
        verify_signature(signer.key, signature.ecdsa, signed_part(certificate),
                         sha384 ? SignatureHash::sha384 : SignatureHash::sha256)) {
      return true;
    }
  }
  return false;
}

Status save_identity(Firmware& firmware, Request& request, const SevIdentity& identity) {
  SevState& sev = firmware.state.sev;
  if (sev.nv) {
    const Status status = check_writable(firmware, request, {*sev.nv, SevInitEx::nv_bytes});
    if (status != Status::success) {
      return status;
    }
    write_nv(firmware, *sev.nv, identity);
  } else {
    sev.flash = identity;
  }
  sev.identity = identity;
  return Status::success;
}

std::optional<SevIdentity> load_identity(Firmware& firmware, SystemPhysical nv) {
  SealedIdentity sealed;
  if (!firmware.port.read_value(nv, sealed) || sealed.magic != SealedIdentity::magic_number) {
    return std::nullopt;
  }
  const Key256 key = nv_key(firmware);
  if (!gcm_open({key, sealed.iv, magic_of(sealed)}, sealed.identity, load_le<GcmTag>(sealed.tag))) {
    return std::nullopt;
  }
  return load_le<SevIdentity>(sealed.identity);
}

}  // namespace softsnp::psp
