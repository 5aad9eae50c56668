#include "guest/vmpl0/reporter.hpp"

#include "arch/ghcb/response.hpp"
#include "base/bytes.hpp"
#include "guest/crypto/aes_gcm.hpp"
#include "guest/crypto/wipe.hpp"

namespace softsnp::svsm {
namespace {

using psp::GuestMessageHeader;
using psp::MessageType;

constexpr u8 own_key = 0;  // VMPCK0

// Of one page: what the secure processor binds with the payload.
ByteView authenticated(const GuestMessageHeader& header) {
  const auto* const bytes = reinterpret_cast<const u8*>(&header);
  return {bytes + GuestMessageHeader::authenticated_from,
          sizeof header - GuestMessageHeader::authenticated_from};
}

struct Iv {
  u8 bytes[crypto::AesGcm::iv_bytes]{};
  explicit Iv(u64 sequence) { store_le(bytes, sequence); }
};

GuestMessageHeader request_header(u64 sequence, u16 payload) {
  GuestMessageHeader header{};
  header.sequence_number = sequence;
  header.algorithm = GuestMessageHeader::algorithm_aes_256_gcm;
  header.header_version = GuestMessageHeader::header_version_1;
  header.header_size = sizeof header;
  header.message_type = psp::number(MessageType::report_request);
  header.message_version = 1;
  header.message_size = payload;
  header.message_vmpck = own_key;
  return header;
}

bool fits(const GuestMessageHeader& header, u64 sequence) {
  return header.sequence_number == sequence &&
         header.algorithm == GuestMessageHeader::algorithm_aes_256_gcm &&
         header.message_type == psp::response_to(psp::number(MessageType::report_request)) &&
         header.message_size == sizeof(psp::ReportResponse) && header.message_vmpck == own_key;
}

}  // namespace

void MessageReporter::start(const u8* key, MessagePages& pages, GuestPhysical pages_at) {
  __builtin_memcpy(key_, key, sizeof key_);
  pages_ = &pages;
  pages_at_ = pages_at;
  usable_ = true;
}

bool MessageReporter::is_sealed_for(const u8 (&report_data)[64]) const {
  return pending_ && crypto::equal(report_data, sealed_data_, sizeof sealed_data_);
}

void MessageReporter::seal(const u8 (&report_data)[64]) {
  psp::ReportRequest request{};
  __builtin_memcpy(request.report_data, report_data, sizeof request.report_data);
  sealed_.header = request_header(sequence_ + 1, sizeof request);
  __builtin_memcpy(sealed_.payload, &request, sizeof request);
  const crypto::AesGcm cipher(key_);
  cipher.seal(Iv(sequence_ + 1).bytes, authenticated(sealed_.header),
              {sealed_.payload, sizeof request}, sealed_.header.auth_tag);
  __builtin_memcpy(sealed_data_, report_data, sizeof sealed_data_);
  pending_ = true;
}

// The host's answer is copied before it is looked at.
MessageReporter::Sent MessageReporter::send(u32 certificate_pages) {
  __builtin_memcpy(&pages_->request, &sealed_, sizeof sealed_);
  const guest::GhcbUse use(*client_);
  client_->begin();
  const bool extended = certificate_pages != 0;
  if (extended) {
    const u64 at = (pages_at_ + __builtin_offsetof(MessagePages, certificates)).value();
    client_->set(ghcb::field::rax, at);
    client_->set(ghcb::field::rbx, certificate_pages);
  }
  const auto event = extended ? ghcb::Event::extended_guest_request : ghcb::Event::guest_request;
  const u64 response = (pages_at_ + __builtin_offsetof(MessagePages, response)).value();
  const auto result = client_->call(number(event), pages_at_.value(), response);
  if (!result) {
    return Sent::failed;
  }
  if (*result == ghcb::exit_info2(ghcb::GuestRequestError::busy)) {
    return Sent::busy;
  }
  if (*result == ghcb::exit_info2(ghcb::GuestRequestError::invalid_length)) {
    const auto pages = client_->answer(ghcb::field::rbx);
    pages_wanted_ = pages ? static_cast<u32>(*pages) : 0;
    return Sent::needs_room;
  }
  __builtin_memcpy(&answer_, &pages_->response, sizeof answer_);
  return *result == 0 ? Sent::done : Sent::failed;
}

bool MessageReporter::open(psp::AttestationReport& report) {
  if (!fits(answer_.header, sequence_ + 2)) {
    return false;
  }
  psp::ReportResponse response;
  const crypto::AesGcm cipher(key_);
  if (!cipher.open(Iv(sequence_ + 2).bytes, authenticated(answer_.header),
                   {answer_.payload, sizeof response}, answer_.header.auth_tag)) {
    return false;
  }
  __builtin_memcpy(&response, answer_.payload, sizeof response);
  if (response.status != static_cast<u32>(psp::MessageStatus::success)) {
    return false;
  }
  __builtin_memcpy(&report, &response.report, sizeof report);
  return true;
}

// After a failure nobody knows which numbers are used up: the key has had its day, as in Linux.
MessageReporter::Sent MessageReporter::exchange(u32 certificate_pages,
                                                psp::AttestationReport& report) {
  const Sent sent = send(certificate_pages);
  if (sent == Sent::busy || sent == Sent::needs_room) {
    return sent;
  }
  pending_ = false;
  if (sent == Sent::failed || !open(report)) {
    usable_ = false;
    crypto::wipe(key_, sizeof key_);
    return Sent::failed;
  }
  sequence_ += 2;
  return Sent::done;
}

// The table ends with a zero entry; the host's numbers count only within the room.
Certificates MessageReporter::copy_certificates(u32 room) {
  __builtin_memcpy(certificates_, pages_->certificates, room);
  constexpr u32 entry_bytes = 24;
  u32 end = 0;
  for (u32 at = 0; at + entry_bytes <= room; at += entry_bytes) {
    const u32 offset = load_le<u32>(certificates_ + at + 16);
    const u32 length = load_le<u32>(certificates_ + at + 20);
    if (length == 0 || offset > room || length > room - offset) {
      break;
    }
    end = offset + length > end ? offset + length : end;
  }
  return {certificates_, end};
}

ReportAnswer MessageReporter::report(const u8 (&report_data)[64], u32 certificates_room,
                                     psp::AttestationReport& report) {
  using Outcome = ReportAnswer::Outcome;
  if (usable_ && pending_ && !is_sealed_for(report_data)) {
    // Somebody else's question first; nobody waits for its answer any more.
    if (exchange(0, report) == Sent::busy) {
      return {Outcome::busy, {}};
    }
  }
  if (!usable_ || client_ == nullptr) {
    return {Outcome::refused, {}};
  }
  if (!pending_) {
    seal(report_data);
  }
  const u32 room = static_cast<u32>(align_down(certificates_room, page_size));
  __builtin_memset(pages_->certificates, 0, sizeof pages_->certificates);
  switch (exchange(room / page_size, report)) {
    case Sent::busy:
      return {Outcome::busy, {}};
    case Sent::failed:
      return {Outcome::refused, {}};
    case Sent::needs_room: {
      const u32 wanted = pages_wanted_ * static_cast<u32>(page_size);
      (void)exchange(0, report);  // the same message uses its number up
      return {Outcome::needs_room, {nullptr, wanted}};
    }
    case Sent::done:
      break;
  }
  return {Outcome::done, room == 0 ? Certificates{} : copy_certificates(room)};
}

}  // namespace softsnp::svsm
