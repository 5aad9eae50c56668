// Attestation reports of VMPL0, by secure guest messages under VMPCK0. Firmware sheet 4; GHCB sheet
// 3.6.
#pragma once

#include "arch/psp/guest_message.hpp"
#include "arch/psp/secrets_page.hpp"
#include "guest/runtime/ghcb_client.hpp"
#include "guest/svsm/attestation.hpp"

namespace softsnp::svsm {

struct GuestMessage {
  psp::GuestMessageHeader header;
  u8 payload[psp::max_message_bytes];
};
static_assert(sizeof(GuestMessage) == page_size);

// Shared with the host, mapped without the C-bit.
struct MessagePages {
  alignas(page_size) GuestMessage request;
  GuestMessage response;
  u8 certificates[max_certificates_bytes];
};

class MessageReporter final : public Reporter {
 public:
  // key: VMPCK0. pages: at the address where the host sees them.
  void start(const u8* key, MessagePages& pages, GuestPhysical pages_at);
  // Whose GHCB the next message goes through.
  void use(guest::GhcbClient* client) { client_ = client; }

  ReportAnswer report(const u8 (&report_data)[64], u32 certificates_room,
                      psp::AttestationReport& report) override;

 private:
  enum class Sent : u8 { done, busy, needs_room, failed };

  bool is_sealed_for(const u8 (&report_data)[64]) const;
  void seal(const u8 (&report_data)[64]);
  Sent send(u32 certificate_pages);
  bool open(psp::AttestationReport& report);
  Sent exchange(u32 certificate_pages, psp::AttestationReport& report);
  Certificates copy_certificates(u32 room);

  u8 key_[32]{};
  bool usable_ = false;
  // The message that the host has not passed on yet: under its number nothing else may be sealed.
  bool pending_ = false;
  u64 sequence_ = 0;
  u32 pages_wanted_ = 0;
  u8 sealed_data_[64]{};
  GuestMessage sealed_{};
  GuestMessage answer_{};
  u8 certificates_[max_certificates_bytes]{};
  MessagePages* pages_ = nullptr;
  GuestPhysical pages_at_;
  guest::GhcbClient* client_ = nullptr;
};

}  // namespace softsnp::svsm
