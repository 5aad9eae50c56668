// ATTESTATION_REPORT. Firmware sheet 5.1 (56860 "Attestation"). One layout for all versions: a
// version fills more of it than the one before. Freestanding.
#pragma once

#include "arch/psp/id_block.hpp"
#include "arch/psp/tcb_version.hpp"
#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

// Open: a report is read from a file too. 4 differs from 3 in nothing that is known.
enum class ReportVersion : u32 {
  v2 = 2,
  v3 = 3,  // CPUID family, model, stepping
  v5 = 5,  // mitigation vectors
};
constexpr bool at_least(ReportVersion version, ReportVersion wanted) {
  return static_cast<u32>(version) >= static_cast<u32>(wanted);
}

enum class SigningKey : u8 { vcek = 0, vlek = 1, none = 7 };

struct ReportedFirmware {
  u8 build;
  u8 minor;
  u8 major;
  u8 reserved;
};

struct AttestationReport {
  static constexpr u32 algorithm_ecdsa_p384_sha384 = 1;
  static constexpr usize signed_bytes = 0x2A0;  // SHA-384 of these
  u32 version;
  u32 guest_svn;
  u64 policy;
  u8 family_id[0x10];
  u8 image_id[0x10];
  u32 vmpl;
  u32 signature_algorithm;
  TcbVersion current_tcb;
  u64 platform_info;
  u32 signer_info;
  u32 reserved_04c;
  u8 report_data[0x40];
  Digest measurement;
  u8 host_data[0x20];
  Digest id_key_digest;
  Digest author_key_digest;
  u8 report_id[0x20];
  u8 report_id_ma[0x20];  // all ones without a migration agent
  TcbVersion reported_tcb;
  u8 cpuid_family;  // from version 3: extended + base
  u8 cpuid_model;   // extended << 4 | base
  u8 cpuid_stepping;
  u8 reserved_18b[0x15];
  u8 chip_id[0x40];
  TcbVersion committed_tcb;
  ReportedFirmware current;
  ReportedFirmware committed;
  TcbVersion launch_tcb;
  u64 launch_mitigation_vector;  // from version 5
  u64 current_mitigation_vector;
  u8 reserved_208[0x98];
  EcdsaSignature signature;
};
static_assert(sizeof(AttestationReport) == 0x4A0);
static_assert(__builtin_offsetof(AttestationReport, guest_svn) == 0x004);
static_assert(__builtin_offsetof(AttestationReport, policy) == 0x008);
static_assert(__builtin_offsetof(AttestationReport, family_id) == 0x010);
static_assert(__builtin_offsetof(AttestationReport, image_id) == 0x020);
static_assert(__builtin_offsetof(AttestationReport, vmpl) == 0x030);
static_assert(__builtin_offsetof(AttestationReport, signature_algorithm) == 0x034);
static_assert(__builtin_offsetof(AttestationReport, current_tcb) == 0x038);
static_assert(__builtin_offsetof(AttestationReport, platform_info) == 0x040);
static_assert(__builtin_offsetof(AttestationReport, signer_info) == 0x048);
static_assert(__builtin_offsetof(AttestationReport, report_data) == 0x050);
static_assert(__builtin_offsetof(AttestationReport, measurement) == 0x090);
static_assert(__builtin_offsetof(AttestationReport, host_data) == 0x0C0);
static_assert(__builtin_offsetof(AttestationReport, id_key_digest) == 0x0E0);
static_assert(__builtin_offsetof(AttestationReport, author_key_digest) == 0x110);
static_assert(__builtin_offsetof(AttestationReport, report_id) == 0x140);
static_assert(__builtin_offsetof(AttestationReport, report_id_ma) == 0x160);
static_assert(__builtin_offsetof(AttestationReport, reported_tcb) == 0x180);
static_assert(__builtin_offsetof(AttestationReport, cpuid_family) == 0x188);
static_assert(__builtin_offsetof(AttestationReport, cpuid_stepping) == 0x18A);
static_assert(__builtin_offsetof(AttestationReport, chip_id) == 0x1A0);
static_assert(__builtin_offsetof(AttestationReport, committed_tcb) == 0x1E0);
static_assert(__builtin_offsetof(AttestationReport, current) == 0x1E8);
static_assert(__builtin_offsetof(AttestationReport, committed) == 0x1EC);
static_assert(__builtin_offsetof(AttestationReport, launch_tcb) == 0x1F0);
static_assert(__builtin_offsetof(AttestationReport, launch_mitigation_vector) == 0x1F8);
static_assert(__builtin_offsetof(AttestationReport, current_mitigation_vector) == 0x200);
static_assert(__builtin_offsetof(AttestationReport, signature) == AttestationReport::signed_bytes);

// SIGNER_INFO, offset 048.
namespace signer_info {
inline constexpr u32 author_key_en = 1, mask_chip_key = 2;
inline constexpr unsigned signing_key_shift = 2;  // bits 4:2
constexpr u32 with_key(SigningKey key) {
  return static_cast<u32>(key) << signing_key_shift;
}
constexpr u32 signing_key(u32 value) {
  return value >> signing_key_shift & 7;
}
}  // namespace signer_info

// PLATFORM_INFO, offset 040. Firmware sheet 1.7.
namespace platform_info {
inline constexpr u64 smt_en = bit(0), tsme_en = bit(1), ecc_en = bit(2), rapl_dis = bit(3),
                     ciphertext_hiding_dram_en = bit(4), alias_check_complete = bit(5),
                     tio_en = bit(7);
}  // namespace platform_info

// The processor as versions from 3 name it, from CPUID 1 EAX.
struct CpuidIdentity {
  u8 family = 0;
  u8 model = 0;
  u8 stepping = 0;
  friend constexpr bool operator==(const CpuidIdentity&, const CpuidIdentity&) = default;
};
constexpr CpuidIdentity cpuid_identity(u32 signature) {
  return {static_cast<u8>(get_bits(signature, 27, 20) + get_bits(signature, 11, 8)),
          static_cast<u8>(get_bits(signature, 19, 16) << 4 | get_bits(signature, 7, 4)),
          static_cast<u8>(get_bits(signature, 3, 0))};
}
static_assert(cpuid_identity(0x00A10F11) == CpuidIdentity{0x19, 0x11, 1});

}  // namespace softsnp::psp
