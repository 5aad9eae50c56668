// Sessions between a legacy guest's owner, or another platform, and this platform: keys, MACs,
// packets. Firmware sheet 7.3.
#pragma once

#include "arch/psp/sev_session.hpp"
#include "machine/psp/config.hpp"
#include "machine/psp/kdf.hpp"
#include "machine/psp/sev_state.hpp"

namespace softsnp::psp {

using SessionNonce = std::span<const u8, 16>;

// What wraps the transport keys.
struct SevWrapKeys {
  Key128 encryption{};  // KEK
  Key128 integrity{};   // KIK
};

Key128 derive_master_secret(std::span<const u8> shared_x, SessionNonce nonce);
SevWrapKeys derive_wrap_keys(const Key128& master_secret);

// Makes WRAP_TK, WRAP_MAC and POLICY_MAC for nonce and WRAP_IV that stand in the session.
void seal_session(SevSession& session, const SevWrapKeys& wrap, const SevTransportKeys& keys,
                  u32 policy);
// False if WRAP_MAC or POLICY_MAC is not right; then keys stay as they are.
bool open_session(const SevSession& session, const SevWrapKeys& wrap, u32 policy,
                  SevTransportKeys& keys);

// The MAC of LAUNCH_MEASURE.
Sha256Digest measurement_mac(const Key128& integrity, const FirmwareVersion& version, u32 policy,
                             const Sha256Digest& launch_digest, SessionNonce nonce);

// The MAC of a packet of LAUNCH_SECRET, SEND_UPDATE or RECEIVE_UPDATE: both lengths are those of
// data, the ciphertext. measurement: of the guest, for launch secrets; else empty.
Sha256Digest packet_mac(const Key128& integrity, SevMacContext context,
                        const SevPacketHeader& header, std::span<const u8> data,
                        std::span<const u8> measurement);

// In a time that does not tell where they differ.
bool equal_macs(std::span<const u8> a, std::span<const u8> b);

}  // namespace softsnp::psp
