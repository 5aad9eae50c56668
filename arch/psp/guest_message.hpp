// Messages between a guest and the secure processor, inside SNP_GUEST_REQUEST. Firmware sheet 4
// (56860 "Guest messages"). Freestanding.
#pragma once

#include "arch/psp/attestation_report.hpp"
#include "arch/psp/cpuid_page.hpp"
#include "arch/psp/guest_buffers.hpp"
#include "arch/psp/tcb_version.hpp"
#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

struct GuestMessageHeader {
  static constexpr u8 algorithm_aes_256_gcm = 1, header_version_1 = 1;
  static constexpr usize tag_bytes = 16;
  static constexpr usize authenticated_from = 0x30;  // to the header's end: the AAD
  u8 auth_tag[0x20];                                 // the tag stands in the first half
  u64 sequence_number;
  u64 reserved_28;
  u8 algorithm;
  u8 header_version;
  u16 header_size;
  u8 message_type;
  u8 message_version;
  u16 message_size;  // of the payload that follows, encrypted
  u32 reserved_38;
  u8 message_vmpck;
  u8 reserved_3d[0x23];
};
static_assert(sizeof(GuestMessageHeader) == 0x60);
static_assert(__builtin_offsetof(GuestMessageHeader, sequence_number) == 0x20);
static_assert(__builtin_offsetof(GuestMessageHeader, algorithm) ==
              GuestMessageHeader::authenticated_from);
static_assert(__builtin_offsetof(GuestMessageHeader, message_type) == 0x34);
static_assert(__builtin_offsetof(GuestMessageHeader, message_size) == 0x36);
static_assert(__builtin_offsetof(GuestMessageHeader, message_vmpck) == 0x3C);

// Payloads come in units of this (firmware sheet 4.2).
inline constexpr usize message_granule = 16;
inline constexpr usize max_message_bytes = page_size - sizeof(GuestMessageHeader);

// Requests; the response to each has the next number.
enum class MessageType : u8 {
  cpuid_request = 0x01,
  key_request = 0x03,
  report_request = 0x05,
  export_request = 0x07,
  import_request = 0x09,
  absorb_request = 0x0B,
  vmrk_request = 0x0D,
  absorb_noma_request = 0x0F,
  tsc_info_request = 0x11,
};
constexpr u8 number(MessageType type) {
  return static_cast<u8>(type);
}
constexpr u8 response_to(u8 request) {
  return static_cast<u8>(request + 1);
}

// KEY_SEL of KEY and REPORT requests.
enum class KeySelect : u8 { vlek_else_vcek = 0, vcek = 1, vlek = 2, reserved = 3 };

// CPUID: entries follow the header, as in the CPUID page.
struct CpuidRequest {
  u32 count;
  u32 mbz_04;
  u64 mbz_08;
};
struct CpuidResponse {
  u32 status;
  u32 count;
  u64 reserved_08;
};
static_assert(sizeof(CpuidRequest) == 0x10 && sizeof(CpuidResponse) == 0x10);
static_assert(sizeof(CpuidRequest) + CpuidPage::max_count * sizeof(CpuidEntry) <=
              max_message_bytes);

struct KeyRequest {
  static constexpr u32 root_vmrk = 1;
  static constexpr u32 key_select_shift = 1, key_select_mask = 3;
  static constexpr u32 selection_mask = 7;  // rest must be zero
  u32 selection;
  u32 mbz_04;
  u64 guest_field_select;
  u32 vmpl;
  u32 guest_svn;
  TcbVersion tcb_version;
  u64 launch_mitigation_vector;  // message version 2
};
inline constexpr usize key_request_bytes_v1 = 0x20;
static_assert(sizeof(KeyRequest) == 0x28);
static_assert(__builtin_offsetof(KeyRequest, guest_field_select) == 0x08);
static_assert(__builtin_offsetof(KeyRequest, vmpl) == 0x10);
static_assert(__builtin_offsetof(KeyRequest, tcb_version) == 0x18);
static_assert(__builtin_offsetof(KeyRequest, launch_mitigation_vector) == key_request_bytes_v1);

// GUEST_FIELD_SELECT of a KEY request.
namespace key_field {
inline constexpr u64 policy = bit(0), image_id = bit(1), family_id = bit(2), measurement = bit(3),
                     guest_svn = bit(4), tcb_version = bit(5);
inline constexpr u64 launch_mitigation_vector = bit(6);  // message version 2
}  // namespace key_field

struct KeyResponse {
  u32 status;
  u8 reserved_04[0x1C];
  u8 derived_key[0x20];
};
static_assert(sizeof(KeyResponse) == 0x40);

struct ReportRequest {
  static constexpr u32 key_select_mask = 3;
  u8 report_data[0x40];
  u32 vmpl;
  u32 selection;  // KEY_SEL in bits 1:0, rest must be zero
  u8 mbz_48[0x18];
};
static_assert(sizeof(ReportRequest) == 0x60);
static_assert(__builtin_offsetof(ReportRequest, selection) == 0x44);

struct ReportResponse {
  u32 status;
  u32 report_size;
  u8 reserved_08[0x18];
  AttestationReport report;
};
static_assert(sizeof(ReportResponse) == 0x4C0);
static_assert(__builtin_offsetof(ReportResponse, report) == 0x20);

struct TscInfoRequest {
  u8 mbz[0x80];
};
struct TscInfoResponse {
  u32 status;
  u32 reserved_04;
  u64 guest_tsc_scale;  // 8.32
  u64 guest_tsc_offset;
  u32 tsc_factor;
  u8 reserved_1c[0x64];
};
static_assert(sizeof(TscInfoRequest) == 0x80 && sizeof(TscInfoResponse) == 0x80);
static_assert(__builtin_offsetof(TscInfoResponse, tsc_factor) == 0x18);

// The answer of messages that have nothing but a status to tell.
struct StatusResponse {
  u32 status;
  u8 reserved_04[0x0C];
};
static_assert(sizeof(StatusResponse) == 0x10);

// A guest context as migration agents see it. Firmware sheet 4.3 ("GCTX blob").
struct ExportedContext {
  static constexpr u32 version_3 = 3;
  static constexpr u64 author_key_en = 1, id_block_en = 2, vcek_dis = 4;
  Digest launch_digest;
  u8 oek[0x20];
  u8 vmpck[4][0x20];
  u8 vmrk[0x20];
  u8 host_data[0x20];
  Digest id_key_digest;
  Digest author_key_digest;
  u8 report_id[0x20];
  Digest imi_digest;
  u64 message_count[4];
  MdataEntry root_mdata;
  u64 flags;
  u64 policy;
  u8 state;
  u8 reserved_231[7];
  u64 oek_iv_count;
  IdBlock id_block;
  u8 gosvw[0x10];
  u32 desired_tsc_khz;
  u32 reserved_2b4;
  u64 tsc_offset;
  TcbVersion launch_tcb;
  u8 reserved_2c8[0x38];
};
static_assert(sizeof(ExportedContext) == 0x300);
static_assert(__builtin_offsetof(ExportedContext, oek) == 0x030);
static_assert(__builtin_offsetof(ExportedContext, vmpck) == 0x050);
static_assert(__builtin_offsetof(ExportedContext, vmrk) == 0x0D0);
static_assert(__builtin_offsetof(ExportedContext, id_key_digest) == 0x110);
static_assert(__builtin_offsetof(ExportedContext, report_id) == 0x170);
static_assert(__builtin_offsetof(ExportedContext, imi_digest) == 0x190);
static_assert(__builtin_offsetof(ExportedContext, message_count) == 0x1C0);
static_assert(__builtin_offsetof(ExportedContext, root_mdata) == 0x1E0);
static_assert(__builtin_offsetof(ExportedContext, flags) == 0x220);
static_assert(__builtin_offsetof(ExportedContext, state) == 0x230);
static_assert(__builtin_offsetof(ExportedContext, oek_iv_count) == 0x238);
static_assert(__builtin_offsetof(ExportedContext, id_block) == 0x240);
static_assert(__builtin_offsetof(ExportedContext, gosvw) == 0x2A0);
static_assert(__builtin_offsetof(ExportedContext, desired_tsc_khz) == 0x2B0);
static_assert(__builtin_offsetof(ExportedContext, launch_tcb) == 0x2C0);

struct ExportRequest {
  static constexpr u64 imi_en = 1;
  u64 gctx_paddr;
  u64 flags;
};
struct ExportResponse {
  u32 status;
  u32 context_size;
  u32 context_version;
  u8 reserved_0c[0x14];
  ExportedContext context;
  u8 reserved_320[0xC80];
};
static_assert(sizeof(ExportRequest) == 0x10 && sizeof(ExportResponse) == 0xFA0);
static_assert(sizeof(ExportResponse) == max_message_bytes);

// IMPORT, ABSORB, ABSORB_NOMA.
struct ImportRequest {
  u64 gctx_paddr;
  u32 size;
  u32 version;
  u8 mbz_10[0x10];
  ExportedContext context;
};
static_assert(sizeof(ImportRequest) == 0x320);

struct VmrkRequest {
  u64 gctx_paddr;
  u8 mbz_08[0x18];
  u8 vmrk[0x20];
};
static_assert(sizeof(VmrkRequest) == 0x40);

// STATUS of a response's payload. The migration messages also use the codes of Status.
enum class MessageStatus : u32 {
  success = 0x00,
  invalid_parameters = 0x16,
  invalid_key_selection = 0x27,
};

}  // namespace softsnp::psp
