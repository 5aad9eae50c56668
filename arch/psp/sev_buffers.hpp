// Command buffers of the legacy SEV and SEV-ES commands. Firmware sheet 7.1 (55766).
// PLATFORM_STATUS and GET_ID: platform_buffers.hpp. Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

struct SevInit {
  static constexpr u16 es = 1;
  static constexpr u64 tmr_bytes = u64{1} << 20;  // what SEV-ES needs
  u16 flags;
  u8 mbz_02[6];
  u64 tmr_paddr;
  u32 tmr_len;
} __attribute__((packed));
static_assert(sizeof(SevInit) == 0x14);

struct SevInitEx {
  static constexpr u32 nv_bytes = 0x8000;
  static constexpr u64 nv_in_flash = ~u64{0};  // nv_paddr: the processor's own storage
  u32 length;
  u16 flags;
  u16 mbz_06;
  u64 tmr_paddr;
  u32 tmr_len;
  u32 mbz_14;
  u64 nv_paddr;
  u32 nv_len;
} __attribute__((packed));
static_assert(sizeof(SevInitEx) == 0x24 && __builtin_offsetof(SevInitEx, nv_paddr) == 0x18);

struct SevPekCsr {
  u64 paddr;
  u32 length;
} __attribute__((packed));
static_assert(sizeof(SevPekCsr) == 0x0C);

struct SevPekCertImport {
  u64 pek_paddr;
  u32 pek_len;
  u32 mbz_0c;
  u64 oca_paddr;
  u32 oca_len;
} __attribute__((packed));
static_assert(sizeof(SevPekCertImport) == 0x1C);

struct SevPdhCertExport {
  u64 pdh_paddr;
  u32 pdh_len;
  u32 mbz_0c;
  u64 chain_paddr;
  u32 chain_len;
} __attribute__((packed));
static_assert(sizeof(SevPdhCertExport) == 0x1C);

// DEACTIVATE, DECOMMISSION, LAUNCH_FINISH, SEND_FINISH, SEND_CANCEL, RECEIVE_FINISH.
struct SevHandleOnly {
  u32 handle;
};
static_assert(sizeof(SevHandleOnly) == 4);

struct SevActivate {
  u32 handle;
  u32 asid;
};
static_assert(sizeof(SevActivate) == 8);

struct SevActivateEx {
  u32 length;
  u32 handle;
  u32 asid;
  u32 num_ids;
  u64 ids_paddr;
};
static_assert(sizeof(SevActivateEx) == 0x18);

struct SevGuestStatus {
  u32 handle;
  u32 policy;
  u32 asid;
  u8 state;
} __attribute__((packed));
static_assert(sizeof(SevGuestStatus) == 0x0D);

// LAUNCH_START, RECEIVE_START. dh_cert_paddr is the other side's DH or PDH certificate.
struct SevLaunchStart {
  u32 handle;  // in: share that guest's key; out: the new guest
  u32 policy;
  u64 dh_cert_paddr;  // LAUNCH_START: 0 for no session
  u32 dh_cert_len;
  u32 mbz_14;
  u64 session_paddr;
  u32 session_len;
} __attribute__((packed));
static_assert(sizeof(SevLaunchStart) == 0x24);

// LAUNCH_UPDATE_DATA, LAUNCH_UPDATE_VMSA, LAUNCH_MEASURE.
struct SevLaunchUpdate {
  u32 handle;
  u32 mbz_04;
  u64 paddr;
  u32 length;
} __attribute__((packed));
static_assert(sizeof(SevLaunchUpdate) == 0x14);

// LAUNCH_SECRET, SEND_UPDATE_DATA/VMSA, RECEIVE_UPDATE_DATA/VMSA.
struct SevPacket {
  static constexpr u32 max_bytes = 0x5000;  // scratch memory of 1.55
  u32 handle;
  u32 mbz_04;
  u64 header_paddr;
  u32 header_len;
  u32 mbz_14;
  u64 guest_paddr;
  u32 guest_len;
  u32 mbz_24;
  u64 trans_paddr;
  u32 trans_len;
} __attribute__((packed));
static_assert(sizeof(SevPacket) == 0x34 && __builtin_offsetof(SevPacket, trans_paddr) == 0x28);

struct SevAttestation {
  u32 handle;
  u32 mbz_04;
  u64 paddr;
  u8 nonce[0x10];
  u32 length;
} __attribute__((packed));
static_assert(sizeof(SevAttestation) == 0x24);

// DBG_DECRYPT, DBG_ENCRYPT.
struct SevDebug {
  u32 handle;
  u32 mbz_04;
  u64 src_paddr;
  u64 dst_paddr;
  u32 length;
} __attribute__((packed));
static_assert(sizeof(SevDebug) == 0x1C);

struct SevCopy {
  u32 handle;
  u32 length;
  u64 src_paddr;
  u64 dst_paddr;
};
static_assert(sizeof(SevCopy) == 0x18);

struct SevSendStart {
  u32 handle;
  u32 policy;  // out
  u64 pdh_paddr;
  u32 pdh_len;
  u32 mbz_14;
  u64 plat_certs_paddr;
  u32 plat_certs_len;
  u32 mbz_24;
  u64 amd_certs_paddr;
  u32 amd_certs_len;
  u32 mbz_34;
  u64 session_paddr;
  u32 session_len;
} __attribute__((packed));
static_assert(sizeof(SevSendStart) == 0x44 &&
              __builtin_offsetof(SevSendStart, session_paddr) == 0x38);

}  // namespace softsnp::psp
