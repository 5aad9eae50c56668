#include "tests/guest/runtime/fake_firmware.hpp"

#include <cstring>

#include "arch/ghcb/response.hpp"
#include "base/bytes.hpp"

namespace softsnp::guest {
namespace {

using psp::GuestMessageHeader;

// False: the tag of an opened message is wrong. Sealing writes the tag.
bool gcm(bool seal, u64 sequence, u8* message, usize size) {
  u8 key[32], iv[12] = {};
  std::memset(key, FakeFirmware::key_byte, sizeof key);
  store_le(iv, sequence);
  u8* text = message + sizeof(GuestMessageHeader);
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int n = 0;
  EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key, iv, seal ? 1 : 0);
  EVP_CipherUpdate(context.get(), nullptr, &n, message + GuestMessageHeader::authenticated_from,
                   sizeof(GuestMessageHeader) - GuestMessageHeader::authenticated_from);
  EVP_CipherUpdate(context.get(), text, &n, text, static_cast<int>(size));
  if (!seal) {
    EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, 16, message);
  }
  const bool good = EVP_CipherFinal_ex(context.get(), text, &n) == 1;
  if (seal) {
    EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, 16, message);
  }
  return good;
}

template <class T>
usize put(u8* message, const T& payload) {
  std::memcpy(message + sizeof(GuestMessageHeader), &payload, sizeof payload);
  return sizeof payload;
}

}  // namespace

FakeFirmware::FakeFirmware(SimulatedHost& host) {
  host.firmware = [this](const u8* request, u8* response, ghcb::Ghcb& page, bool extended) {
    return handle(request, response, page, extended);
  };
}

psp::AttestationReport FakeFirmware::report_for(const psp::ReportRequest& request) {
  psp::AttestationReport report;
  std::memset(&report, 0x77, sizeof report);
  std::memcpy(&report, request.report_data, sizeof request.report_data);
  return report;
}

std::array<u8, 32> FakeFirmware::key_for(const psp::KeyRequest& request) {
  std::array<u8, 32> key{};
  key.fill(static_cast<u8>(request.guest_field_select + request.launch_mitigation_vector));
  return key;
}

u64 FakeFirmware::handle(const u8* request, u8* response, ghcb::Ghcb& page, bool extended) {
  if (busy != 0) {
    --busy;
    return exit_info2(ghcb::GuestRequestError::busy);
  }
  if (extended && page.rbx < certificate_pages) {
    store_le(page.raw + ghcb::field::rbx, certificate_pages);
    return exit_info2(ghcb::GuestRequestError::invalid_length);
  }
  if (extended && certificate_pages != 0) {
    std::memset(reinterpret_cast<void*>(u64{page.rax}), 0xCE, certificate_pages * page_size);
  }
  ++asked;
  return answer(request, response);
}

// Firmware sheet 4.2.
u64 FakeFirmware::answer(const u8* request, u8* response) {
  u8 message[page_size];
  std::memcpy(message, request, sizeof message);
  auto header = load_le<GuestMessageHeader>(message);
  if (header.message_size > psp::max_message_bytes) {
    return 0x16;
  }
  if (!gcm(false, header.sequence_number, message, header.message_size)) {
    return 0x0D;
  }
  if (header.sequence_number != counter + 1) {
    return 0x1F;
  }
  u8 out[page_size] = {};
  usize size = 0;
  const u8* payload = message + sizeof header;
  if (header.message_type == psp::number(psp::MessageType::report_request)) {
    psp::ReportResponse answer{};
    answer.status = payload_status;
    answer.report_size = sizeof answer.report;
    answer.report = report_for(load_le<psp::ReportRequest>(payload));
    size = put(out, answer);
  } else if (header.message_type == psp::number(psp::MessageType::key_request)) {
    psp::KeyResponse answer{};
    answer.status = payload_status;
    auto asked_for = load_le<psp::KeyRequest>(payload);
    asked_for.launch_mitigation_vector =
        header.message_version == 2 ? asked_for.launch_mitigation_vector : 0;
    const auto key = key_for(asked_for);
    std::memcpy(answer.derived_key, key.data(), key.size());
    size = put(out, answer);
  } else {
    psp::TscInfoResponse answer{};
    answer.status = payload_status;
    answer.tsc_factor = 200;
    size = put(out, answer);
  }
  header.message_type = psp::response_to(header.message_type);
  header.message_version = 1;
  header.message_size = static_cast<u16>(size);
  header.sequence_number += 1;
  std::memset(header.auth_tag, 0, sizeof header.auth_tag);
  std::memcpy(out, &header, sizeof header);
  gcm(true, header.sequence_number, out, size);
  std::memcpy(response, out, sizeof out);
  counter += 2;
  return 0;
}

}  // namespace softsnp::guest
