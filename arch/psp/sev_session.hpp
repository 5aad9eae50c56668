// What guest owner, platform and network see of a legacy guest: session, packets, measurement,
// attestation report. Firmware sheet 7.3 (55766). Freestanding.
#pragma once

#include "arch/psp/id_block.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

// Transport keys, wrapped for the platform whose PDH the sender used.
struct SevSession {
  u8 nonce[0x10];
  u8 wrapped_keys[0x20];  // TEK | TIK
  u8 wrap_iv[0x10];
  u8 wrap_mac[0x20];
  u8 policy_mac[0x20];
};
static_assert(sizeof(SevSession) == 0x80 && __builtin_offsetof(SevSession, policy_mac) == 0x60);

struct SevPacketHeader {
  static constexpr u32 compressed = 1;
  u32 flags;
  u8 iv[0x10];
  u8 mac[0x20];
};
static_assert(sizeof(SevPacketHeader) == 0x34 && __builtin_offsetof(SevPacketHeader, mac) == 0x14);

// First byte of what a MAC covers: what the MAC is for.
enum class SevMacContext : u8 { launch_secret = 1, send_update = 2, measurement = 4 };

struct SevMeasurement {
  u8 mac[0x20];
  u8 nonce[0x10];
};
static_assert(sizeof(SevMeasurement) == 0x30);

struct SevAttestationReport {
  static constexpr usize signed_bytes = 0x34;
  u8 nonce[0x10];
  u8 launch_digest[0x20];
  u32 policy;
  u32 signature_usage;
  u32 signature_algorithm;
  u32 reserved_3c;
  // R and S little-endian; the same fields as EcdsaSignature without the padding.
  u8 r[EcdsaSignature::component_bytes];
  u8 s[EcdsaSignature::component_bytes];
};
static_assert(sizeof(SevAttestationReport) == 0xD0);
static_assert(__builtin_offsetof(SevAttestationReport, policy) == 0x30);
static_assert(__builtin_offsetof(SevAttestationReport, r) == 0x40);

}  // namespace softsnp::psp
