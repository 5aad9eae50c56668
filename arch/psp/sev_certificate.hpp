// Certificates of the legacy SEV platform. Firmware sheet 7.4 (55766 "SEV certificate").
// Freestanding.
#pragma once

#include "arch/psp/id_block.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

enum class SevKeyUsage : u32 {
  ark = 0,
  ask = 0x13,
  none = 0x1000,
  oca = 0x1001,
  pek = 0x1002,
  pdh = 0x1003,
  cek = 0x1004,
};
enum class SevAlgorithm : u32 {
  none = 0,
  rsa_sha256 = 1,
  ecdsa_sha256 = 2,
  ecdh_sha256 = 3,
  rsa_sha384 = 0x101,
  ecdsa_sha384 = 0x102,
  ecdh_sha384 = 0x103,
};

struct SevSignature {
  u32 usage;
  u32 algorithm;
  EcdsaSignature ecdsa;
};
static_assert(sizeof(SevSignature) == 0x208);

struct SevCertificate {
  static constexpr u32 version_1 = 1;
  static constexpr usize signed_bytes = 0x414;
  static constexpr usize signature_count = 2;
  u32 version;
  u8 api_major;
  u8 api_minor;
  u16 reserved_06;
  u32 usage;
  u32 algorithm;
  EcdsaPublicKey key;
  SevSignature signatures[signature_count];
};
static_assert(sizeof(SevCertificate) == 0x824);
static_assert(__builtin_offsetof(SevCertificate, key) == 0x10);
static_assert(__builtin_offsetof(SevCertificate, signatures) == SevCertificate::signed_bytes);

// What PDH_CERT_EXPORT gives beside the PDH, and SEND_START takes.
struct SevCertificateChain {
  SevCertificate pek;
  SevCertificate oca;
  SevCertificate cek;
};
static_assert(sizeof(SevCertificateChain) == 0x186C);

// ASK and ARK: this header, then public exponent, modulus and signature, each as many bytes as the
// modulus has. Little-endian.
struct AmdCertificateHeader {
  static constexpr u32 version_1 = 1;
  u32 version;
  u8 key_id[0x10];
  u8 certifying_id[0x10];
  u32 usage;
  u8 reserved_28[0x10];
  u32 exponent_bits;
  u32 modulus_bits;
};
static_assert(sizeof(AmdCertificateHeader) == 0x40);

}  // namespace softsnp::psp
