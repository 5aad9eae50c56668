#include "guest/runtime/guest_messages.hpp"

#include "arch/ghcb/response.hpp"
#include "base/bytes.hpp"
#include "guest/crypto/aes_gcm.hpp"
#include "guest/crypto/wipe.hpp"

namespace softsnp::guest {
namespace {

namespace field = ghcb::field;
using psp::GuestMessageHeader;

constexpr usize payload_at = sizeof(GuestMessageHeader);
// As Linux: the stored half of the counter stays below this.
constexpr u32 last_sequence = ~u32{0} - 1;

// Firmware sheet 4.1: the number, and four zeros.
void make_iv(u8 (&iv)[crypto::AesGcm::iv_bytes], u64 sequence) {
  for (u8& byte : iv) {
    byte = 0;
  }
  store_le(iv, sequence);
}

ByteView authenticated(const u8* message) {
  return {message + GuestMessageHeader::authenticated_from,
          payload_at - GuestMessageHeader::authenticated_from};
}

bool all_zero(ByteView bytes) {
  u8 any = 0;
  for (const u8 byte : bytes) {
    any = static_cast<u8>(any | byte);
  }
  return any == 0;
}

template <class T>
ByteView bytes_of(const T& object) {
  return {reinterpret_cast<const u8*>(&object), sizeof object};
}

}  // namespace

bool GuestMessenger::usable() const {
  return vmpck_ < 4 && !all_zero({key(), crypto::AesGcm::key_bytes});
}

void GuestMessenger::wipe_key() {
  crypto::wipe(key(), crypto::AesGcm::key_bytes);
}

void GuestMessenger::seal(u8 type, u8 version, ByteView payload, u64 sequence) {
  GuestMessageHeader header{};
  header.sequence_number = sequence;
  header.algorithm = GuestMessageHeader::algorithm_aes_256_gcm;
  header.header_version = GuestMessageHeader::header_version_1;
  header.header_size = sizeof header;
  header.message_type = type;
  header.message_version = version;
  header.message_size = static_cast<u16>(payload.size());
  header.message_vmpck = static_cast<u8>(vmpck_);
  store_le(pages_.staging, header);
  __builtin_memcpy(pages_.staging + payload_at, payload.data(), payload.size());
  u8 iv[crypto::AesGcm::iv_bytes];
  make_iv(iv, sequence);
  crypto::AesGcm(key()).seal(iv, authenticated(pages_.staging),
                             {pages_.staging + payload_at, payload.size()}, pages_.staging);
}

// The same sealed message as often as the hypervisor is busy. Too few certificate pages: once more
// as a plain request, so that its number is used up.
Checked<GuestMessenger::Delivery> GuestMessenger::deliver(bool extended, u32* pages_needed) {
  Delivery delivery = Delivery::delivered;
  for (u32 busy = 0; busy <= busy_retries_;) {
    const GhcbUse use(client_);
    if (!use.ok()) {
      return fail(Cause::vc_nested_too_deep);
    }
    client_.begin();
    if (extended) {
      client_.set(field::rax, pages_.certificates_at.value());
      client_.set(field::rbx, pages_.certificate_pages);
    }
    const auto info2 = client_.call(
        number(extended ? ghcb::Event::extended_guest_request : ghcb::Event::guest_request),
        pages_.request_at.value(), pages_.response_at.value());
    if (!info2) {
      return fail(Cause::guest_message_failed);
    }
    if (*info2 == 0) {
      return delivery;
    }
    if (*info2 == exit_info2(ghcb::GuestRequestError::busy)) {
      ++busy;
      client_.processor().relax();
      continue;
    }
    if (*info2 != exit_info2(ghcb::GuestRequestError::invalid_length) || !extended) {
      return fail(Cause::guest_message_failed);
    }
    const auto needed = client_.answer(field::rbx);
    if (!needed) {
      return fail(Cause::guest_message_failed);
    }
    *pages_needed = static_cast<u32>(*needed);
    delivery = Delivery::certificates_do_not_fit;
    extended = false;
  }
  return fail(Cause::guest_message_failed);
}

// The answer is copied out of the shared page before it is looked at.
bool GuestMessenger::open(u64 sequence, View<u8> payload) {
  const auto sent = load_le<GuestMessageHeader>(pages_.staging);
  for (usize i = 0; i < payload_at + payload.size(); ++i) {
    pages_.staging[i] = read_once<u8>(pages_.response + i);
  }
  const auto header = load_le<GuestMessageHeader>(pages_.staging);
  if (header.sequence_number != sequence + 1 || header.algorithm != sent.algorithm ||
      header.header_version != sent.header_version || header.header_size != sizeof header ||
      header.message_type != psp::response_to(sent.message_type) || header.message_version == 0 ||
      header.message_version > sent.message_version || header.message_vmpck != vmpck_ ||
      header.message_size != payload.size()) {
    return false;
  }
  u8 iv[crypto::AesGcm::iv_bytes];
  make_iv(iv, header.sequence_number);
  const View<u8> text(pages_.staging + payload_at, payload.size());
  if (!crypto::AesGcm(key()).open(iv, authenticated(pages_.staging), text, pages_.staging)) {
    return false;
  }
  __builtin_memcpy(payload.data(), text.data(), payload.size());
  return true;
}

Checked<GuestMessenger::Delivery> GuestMessenger::send(u8 type, u8 version, ByteView request,
                                                       View<u8> response, bool extended,
                                                       u32* pages_needed) {
  const bool sizes = request.size() % psp::message_granule == 0 && !request.empty() &&
                     request.size() <= psp::max_message_bytes &&
                     response.size() <= psp::max_message_bytes;
  if (!sizes || !usable()) {
    return fail(Cause::guest_message_failed);
  }
  const u32 before = secrets_.message_sequence_low[vmpck_];
  if (before >= last_sequence) {
    wipe_key();
    return fail(Cause::guest_message_failed);
  }
  const u64 sequence = u64{before} + 1;
  seal(type, version, request, sequence);
  __builtin_memcpy(pages_.request, pages_.staging, page_size);
  auto delivery = deliver(extended, pages_needed);
  if (!delivery) {
    wipe_key();
    return delivery;
  }
  if (!open(sequence, response)) {
    wipe_key();
    return fail(Cause::guest_message_failed);
  }
  secrets_.message_sequence_low[vmpck_] = before + 2;
  return delivery;
}

Checked<void> GuestMessenger::exchange(u8 type, u8 version, ByteView request, View<u8> response) {
  u32 unused = 0;
  const auto delivery = send(type, version, request, response, false, &unused);
  return delivery ? Checked<void>() : Checked<void>(fail(delivery.error()));
}

Checked<MessageResult> GuestMessenger::ask_report(const psp::ReportRequest& request,
                                                  psp::AttestationReport& report, bool extended) {
  psp::ReportResponse response{};
  MessageResult result;
  const auto delivery = send(psp::number(psp::MessageType::report_request), 1, bytes_of(request),
                             {reinterpret_cast<u8*>(&response), sizeof response}, extended,
                             &result.certificate_pages);
  if (!delivery) {
    return fail(delivery.error());
  }
  result.status = response.status;
  if (response.status != static_cast<u32>(psp::MessageStatus::success)) {
    result.end = MessageEnd::refused;
    return result;
  }
  if (response.report_size != sizeof report) {
    return fail(Cause::guest_message_failed);
  }
  report = response.report;
  if (*delivery == Delivery::certificates_do_not_fit) {
    result.end = MessageEnd::certificates_do_not_fit;
  }
  return result;
}

Checked<MessageResult> GuestMessenger::report(const psp::ReportRequest& request,
                                              psp::AttestationReport& report) {
  return ask_report(request, report, false);
}

Checked<MessageResult> GuestMessenger::extended_report(const psp::ReportRequest& request,
                                                       psp::AttestationReport& report) {
  return ask_report(request, report, true);
}

Checked<MessageResult> GuestMessenger::derive_key(const psp::KeyRequest& request,
                                                  u8 (&key_out)[0x20]) {
  // Payloads come in multiples of 16 bytes; version 2 has eight more than it fills.
  u8 payload[align_up(sizeof(psp::KeyRequest), psp::message_granule)] = {};
  __builtin_memcpy(payload, &request, sizeof request);
  const bool newer = request.launch_mitigation_vector != 0;
  psp::KeyResponse response{};
  const auto done = exchange(psp::number(psp::MessageType::key_request), newer ? 2 : 1,
                             {payload, newer ? sizeof payload : psp::key_request_bytes_v1},
                             {reinterpret_cast<u8*>(&response), sizeof response});
  if (!done) {
    return fail(done.error());
  }
  MessageResult result;
  result.status = response.status;
  if (response.status != static_cast<u32>(psp::MessageStatus::success)) {
    result.end = MessageEnd::refused;
  } else {
    __builtin_memcpy(key_out, response.derived_key, sizeof key_out);
  }
  crypto::wipe(&response, sizeof response);
  crypto::wipe(pages_.staging, page_size);
  return result;
}

Checked<MessageResult> GuestMessenger::tsc_info(psp::TscInfoResponse& info) {
  const psp::TscInfoRequest request{};
  const auto done = exchange(psp::number(psp::MessageType::tsc_info_request), 1, bytes_of(request),
                             {reinterpret_cast<u8*>(&info), sizeof info});
  if (!done) {
    return fail(done.error());
  }
  MessageResult result;
  result.status = info.status;
  result.end = info.status == 0 ? MessageEnd::done : MessageEnd::refused;
  return result;
}

}  // namespace softsnp::guest
