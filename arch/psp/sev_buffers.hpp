// Command buffers of the legacy SEV and SEV-ES commands. Firmware sheet 7.1, 7.3 (55766, the
// chapters of each command). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

inline constexpr usize sev_measurement_bytes = 0x30, sev_session_bytes = 0x80,
                       sev_certificate_bytes = 0x824, sev_packet_header_bytes = 0x34,
                       sev_id_bytes = 0x40;

struct SevInit {
  static constexpr u16 es = 1;
  u16 flags;
  u8 reserved[6];
  u64 tmr_paddr;
  u32 tmr_len;
  u32 reserved14;
};
static_assert(sizeof(SevInit) == 0x18);

struct SevLaunchStart {
  u32 handle;  // in: share the key of that guest; out: the new guest's
  u32 policy;
  u64 dh_cert_paddr;  // 0: no session
  u32 dh_cert_len;
  u32 reserved14;
  u64 session_paddr;
  u32 session_len;
  u32 reserved24;
};
static_assert(sizeof(SevLaunchStart) == 0x28);

struct SevActivate {
  u32 handle;
  u32 asid;
};
static_assert(sizeof(SevActivate) == 8);

// DEACTIVATE, DECOMMISSION, LAUNCH_FINISH, SEND_FINISH, SEND_CANCEL, RECEIVE_FINISH.
struct SevHandleOnly {
  u32 handle;
};
static_assert(sizeof(SevHandleOnly) == 4);

// LAUNCH_UPDATE_DATA, LAUNCH_UPDATE_VMSA; LAUNCH_MEASURE writes length back.
struct SevGuestBytes {
  u32 handle;
  u32 reserved04;
  u64 paddr;
  u32 length;
  u32 reserved14;
};
static_assert(sizeof(SevGuestBytes) == 0x18);

// LAUNCH_SECRET, SEND_UPDATE_*, RECEIVE_UPDATE_*.
struct SevPacket {
  u32 handle;
  u32 reserved04;
  u64 header_paddr;
  u32 header_len;
  u32 reserved14;
  u64 guest_paddr;
  u32 guest_len;
  u32 reserved24;
  u64 trans_paddr;
  u32 trans_len;
  u32 reserved34;
};
static_assert(sizeof(SevPacket) == 0x38);

struct SevGuestStatus {
  u32 handle;
  u32 policy;
  u32 asid;
  u8 state;
  u8 reserved[3];
};
static_assert(sizeof(SevGuestStatus) == 0x10);

// DBG_DECRYPT, DBG_ENCRYPT.
struct SevDebug {
  u32 handle;
  u32 reserved04;
  u64 src_paddr;
  u64 dst_paddr;
  u32 length;
  u32 reserved1c;
};
static_assert(sizeof(SevDebug) == 0x20);

namespace sev_policy {
inline constexpr u32 no_debug = 1, no_key_sharing = 2, es = 4, no_send = 8, domain = 16, sev = 32;
}

}  // namespace softsnp::psp
