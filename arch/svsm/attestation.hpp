// Attestation protocol. SVSM sheet 5 (58019 chapter 7, tables 11-13). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::svsm {

// As in memory: the first three fields little-endian.
struct Guid {
  u32 a;
  u16 b, c;
  u8 d[8];
  friend constexpr bool operator==(const Guid&, const Guid&) = default;
};
static_assert(sizeof(Guid) == 16);

inline constexpr Guid services_manifest_guid = {
    0x63849ebb, 0x3d92, 0x4670, {0xa1, 0xff, 0x58, 0xf9, 0xc9, 0x4b, 0x87, 0xbb}};
inline constexpr Guid vtpm_service_guid = {
    0xc476f1eb, 0x0123, 0x45a5, {0x96, 0x41, 0xb4, 0xe7, 0xdd, 0xe5, 0xbf, 0xe3}};
inline constexpr Guid uefi_mm_service_guid = {
    0xa4453a59, 0x9e1b, 0x4787, {0xa0, 0x33, 0x19, 0x86, 0xd6, 0xad, 0xbe, 0x55}};

// ATTEST_SERVICES takes all but the last three fields.
struct AttestRequest {
  u64 report_gpa;  // 4 KiB aligned, as manifest and certificates
  u32 report_size;
  u32 reserved_0c;
  u64 nonce_gpa;
  u16 nonce_size;
  u8 reserved_1a[6];
  u64 manifest_gpa;
  u32 manifest_size;
  u32 reserved_2c;
  u64 certificates_gpa;
  u32 certificates_size;  // 0: not wanted
  u32 reserved_3c;
};
static_assert(sizeof(AttestRequest) == 0x40);
static_assert(__builtin_offsetof(AttestRequest, nonce_gpa) == 0x10);
static_assert(__builtin_offsetof(AttestRequest, manifest_gpa) == 0x20);
static_assert(__builtin_offsetof(AttestRequest, certificates_gpa) == 0x30);

struct AttestSingleServiceRequest {
  AttestRequest common;
  Guid service;
  u32 manifest_version;
  u32 reserved_54;
};
static_assert(sizeof(AttestSingleServiceRequest) == 0x58);
static_assert(__builtin_offsetof(AttestSingleServiceRequest, manifest_version) == 0x50);

inline constexpr u16 nonce_bytes = 64;
inline constexpr u32 max_certificates_bytes = 0x4000;

struct ServicesManifestHeader {
  Guid guid;
  u32 size;  // of the whole manifest
  u32 services;
};
static_assert(sizeof(ServicesManifestHeader) == 0x18);

struct ServiceEntry {
  Guid service;
  u32 offset;  // from the manifest's start
  u32 size;
};
static_assert(sizeof(ServiceEntry) == 0x18);

}  // namespace softsnp::svsm
