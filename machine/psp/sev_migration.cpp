// SEND_* and RECEIVE_*: a legacy guest goes from one platform to another. Firmware sheet 7.1, 7.3.
#include <cstring>

#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/sev_amd_chain.hpp"
#include "machine/psp/sev_handlers.hpp"
#include "machine/psp/sev_identity.hpp"
#include "machine/psp/sev_operands.hpp"
#include "machine/psp/sev_packet.hpp"
#include "machine/psp/sev_session.hpp"
#include "machine/psp/sev_vmsa.hpp"

namespace softsnp::psp {

namespace {

// The other platform, as its certificates tell.
struct Peer {
  SevCertificate pdh;
  SevCertificateChain chain;
  std::vector<u8> amd_certificates;  // read if the policy asks for them
};

bool chain_holds(const Firmware& firmware, const Peer& peer) {
  const auto& [pek, oca, cek] = peer.chain;
  return is_key_certificate(firmware, peer.pdh, SevKeyUsage::pdh) &&
         is_key_certificate(firmware, pek, SevKeyUsage::pek) &&
         is_key_certificate(firmware, oca, SevKeyUsage::oca) &&
         is_key_certificate(firmware, cek, SevKeyUsage::cek) && is_signed_by(peer.pdh, pek) &&
         is_signed_by(pek, oca) && is_signed_by(pek, cek) && is_signed_by(oca, oca);
}

bool same_owner(const Firmware& firmware, const Peer& peer) {
  return std::memcmp(&firmware.state.sev.identity->oca.key, &peer.chain.oca.key,
                     sizeof peer.chain.oca.key) == 0;
}

bool made_by_amd(const Firmware& firmware, const Peer& peer) {
  return firmware.config.sev_ark &&
         amd_chain_holds(peer.amd_certificates, peer.chain.cek, *firmware.config.sev_ark);
}

Status check_peer(const Firmware& firmware, Request& request, const Peer& peer) {
  const u32 policy = request.sev_guest->policy;
  if (!chain_holds(firmware, peer)) {
    return request.fail(Status::invalid_certificate, "the target's certificates do not hold");
  }
  if ((policy & sev_policy::sev) != 0 && !made_by_amd(firmware, peer)) {
    return request.fail(Status::invalid_certificate, "the target's CEK is not signed by AMD");
  }
  if ((policy & sev_policy::domain) != 0 && !same_owner(firmware, peer)) {
    return request.fail(Status::policy_failure, "the target belongs to another owner");
  }
  return Status::success;
}

// ASK and ARK with keys of 4096 bits.
constexpr u32 max_amd_bytes = 2 * (sizeof(AmdCertificateHeader) + 3 * 512);

bool needs_amd(const Request& request) {
  return (request.sev_guest->policy & sev_policy::sev) != 0;
}

Status check_lengths(Request& request) {
  auto command = request.as<SevSendStart>();
  const bool fits = command.pdh_len == sizeof(SevCertificate) &&
                    command.plat_certs_len == sizeof(SevCertificateChain) &&
                    command.session_len >= sizeof(SevSession) &&
                    (!needs_amd(request) ||
                     (command.amd_certs_len != 0 && command.amd_certs_len <= max_amd_bytes));
  command.policy = request.sev_guest->policy;
  command.pdh_len = sizeof(SevCertificate);
  command.plat_certs_len = sizeof(SevCertificateChain);
  command.session_len = sizeof(SevSession);
  command.amd_certs_len = fits ? command.amd_certs_len : max_amd_bytes;
  request.put(command);
  return fits ? Status::success
              : request.fail(Status::invalid_length, "certificates or session: wrong length");
}

Status read_peer(Firmware& firmware, Request& request, Peer& peer) {
  const auto command = request.as<SevSendStart>();
  const MemoryRange pdh = MemoryRange::of(command.pdh_paddr, command.pdh_len);
  const MemoryRange chain = MemoryRange::of(command.plat_certs_paddr, command.plat_certs_len);
  Status status = check_readable(firmware, request, pdh);
  if (status == Status::success) {
    status = check_readable(firmware, request, chain);
  }
  if (status == Status::success) {
    firmware.port.read_value(pdh.at, peer.pdh);
    firmware.port.read_value(chain.at, peer.chain);
  }
  if (status == Status::success && needs_amd(request)) {
    const MemoryRange amd = MemoryRange::of(command.amd_certs_paddr, command.amd_certs_len);
    status = check_readable(firmware, request, amd);
    if (status == Status::success) {
      peer.amd_certificates = read_memory(firmware, amd, memory::KeyId::none);
    }
  }
  return status;
}

// New transport keys, wrapped for the peer.
SevSession new_session(Firmware& firmware, SevGuest& guest, const Peer& peer) {
  SevSession session{};
  Drbg& drbg = firmware.state.drbg;
  draw(drbg, firmware.sha, guest.transport.encryption);
  draw(drbg, firmware.sha, guest.transport.integrity);
  draw(drbg, firmware.sha, session.nonce);
  draw(drbg, firmware.sha, session.wrap_iv);
  const auto shared = firmware.p384.shared_x(firmware.state.sev.identity->pdh_key, peer.pdh.key);
  seal_session(session, derive_wrap_keys(derive_master_secret(shared, session.nonce)),
               guest.transport, guest.policy);
  return session;
}

}  // namespace

Status sev_send_start(Firmware& firmware, Request& request) {
  SevGuest& guest = *request.sev_guest;
  Status status = check_lengths(request);
  if (status != Status::success) {
    return status;
  }
  if ((guest.policy & sev_policy::nosend) != 0) {
    return request.fail(Status::policy_failure, "the policy forbids to send the guest");
  }
  Peer peer;
  status = read_peer(firmware, request, peer);
  if (status == Status::success) {
    status = check_peer(firmware, request, peer);
  }
  const MemoryRange to =
      MemoryRange::of(request.as<SevSendStart>().session_paddr, sizeof(SevSession));
  if (status == Status::success) {
    status = check_writable(firmware, request, to);
  }
  if (status == Status::success) {
    firmware.port.write_value(to.at, new_session(firmware, guest, peer));
    guest.state = SevGuestState::supdate;
  }
  return status;
}

Status sev_send_update_data(Firmware& firmware, Request& request) {
  return send_packet(firmware, request);
}

Status sev_send_update_vmsa(Firmware& firmware, Request& request) {
  const Status status = check_vmsa_update(request, request.as<SevPacket>().guest_len);
  return status == Status::success ? send_packet(firmware, request) : status;
}

Status sev_send_finish(Firmware&, Request& request) {
  request.sev_guest->state = SevGuestState::sent;
  return Status::success;
}

Status sev_send_cancel(Firmware&, Request& request) {
  request.sev_guest->transport = {};
  request.sev_guest->state = SevGuestState::running;
  return Status::success;
}

Status sev_receive_update_data(Firmware& firmware, Request& request) {
  const auto packet = open_packet(firmware, request, SevMacContext::send_update, {});
  if (!packet.ok()) {
    return packet.error();
  }
  write_memory(firmware, FirmwarePort::address(request.as<SevPacket>().guest_paddr), packet.value(),
               memory::key_of(request.sev_guest->asid));
  return Status::success;
}

Status sev_receive_update_vmsa(Firmware& firmware, Request& request) {
  const auto command = request.as<SevPacket>();
  const Status status = check_vmsa_update(request, command.guest_len);
  if (status != Status::success) {
    return status;
  }
  const auto packet = open_packet(firmware, request, SevMacContext::send_update, {});
  if (!packet.ok()) {
    return packet.error();
  }
  return place_vmsa(firmware, request, std::span(packet.value()).first<page_size>(),
                    FirmwarePort::address(command.guest_paddr));
}

Status sev_receive_finish(Firmware& firmware, Request& request) {
  SevGuest& guest = *request.sev_guest;
  guest.state = SevGuestState::running;
  if (guest.active()) {
    firmware.state.asids.start_running(guest.asid);
  }
  return Status::success;
}

}  // namespace softsnp::psp
