// SNP_GUEST_REQUEST: opens a guest's message, has it answered, seals the answer. Firmware sheet
// 4.1, 4.2; the functions stand in the order of processing.
#include <array>

#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/aes_gcm.hpp"
#include "machine/psp/guest_message.hpp"
#include "machine/psp/handlers.hpp"

namespace softsnp::psp {

namespace {

constexpr u64 last_message_count = 0xFFFFFFFFFFFFFFFE;
constexpr usize header_bytes = sizeof(GuestMessageHeader);

struct MessageRow {
  MessageType type;
  const char* detail;
  MessageHandler handler;
};

constexpr MessageRow rows[] = {
    {MessageType::cpuid_request, "CPUID message", answer_cpuid},
    {MessageType::key_request, "KEY message", answer_key},
    {MessageType::report_request, "REPORT message", answer_report},
    {MessageType::export_request, "EXPORT message", answer_export},
    {MessageType::import_request, "IMPORT message", answer_import},
    {MessageType::absorb_request, "ABSORB message", answer_absorb},
    {MessageType::vmrk_request, "VMRK message", answer_vmrk},
    {MessageType::absorb_noma_request, "ABSORB_NOMA message", answer_absorb_noma},
    {MessageType::tsc_info_request, "TSC_INFO message", answer_tsc_info},
};

const MessageRow* find_message(u8 type) {
  const auto* found = std::find_if(std::begin(rows), std::end(rows), [type](const MessageRow& row) {
    return number(row.type) == type;
  });
  return found != std::end(rows) ? found : nullptr;
}

// KEY messages have a version 2 in the firmware that has mitigation vectors (firmware sheet 4.1,
// 4.4), the one of report version 5.
u8 max_version(const Firmware& firmware, MessageType type) {
  const bool mitigations = at_least(firmware.config.report_version, ReportVersion::v5);
  return type == MessageType::key_request && mitigations ? 2 : 1;
}

std::array<u8, 12> iv_of(u64 sequence_number) {
  std::array<u8, 12> iv{};
  store_le(iv.data(), sequence_number);
  return iv;
}

std::span<const u8> authenticated(const GuestMessageHeader& header) {
  return std::span(reinterpret_cast<const u8*>(&header), header_bytes)
      .subspan(GuestMessageHeader::authenticated_from);
}

Status read_header(Firmware& firmware, Request& request, SystemPhysical at,
                   GuestMessageHeader& header) {
  if (at.page_offset() + header_bytes > page_size) {
    return request.fail(Status::invalid_param, "the message header crosses a page");
  }
  firmware.port.read_value(at, header);
  if (header.header_version != GuestMessageHeader::header_version_1 ||
      header.header_size != header_bytes ||
      header.algorithm != GuestMessageHeader::algorithm_aes_256_gcm) {
    return request.fail(Status::invalid_param, "the message header's version, size or algorithm");
  }
  if (header.message_size == 0 || header.message_size % message_granule != 0 ||
      at.page_offset() + header_bytes + header.message_size > page_size) {
    return request.fail(Status::invalid_param, "the message's size");
  }
  if (header.message_vmpck >= vmpl_count) {
    return request.fail(Status::invalid_param, "MSG_VMPCK is above 3");
  }
  return Status::success;
}

Status open(Firmware& firmware, Request& request, SystemPhysical at,
            const GuestMessageHeader& header, GuestMessage& message) {
  const GuestContext& context = *request.context;
  message.vmpck = header.message_vmpck;
  message.version = header.message_version;
  message.request_bytes = header.message_size;
  const std::span<u8> payload = std::span(message.request).first(message.request_bytes);
  firmware.port.read(at + header_bytes, payload);
  const std::array<u8, 12> iv = iv_of(header.sequence_number);
  if (!gcm_open({context.vmpck[message.vmpck], iv, authenticated(header)}, payload,
                load_le<GcmTag>(header.auth_tag))) {
    return request.fail(Status::bad_measurement, "the message is not sealed with the VMPCK");
  }
  const u64 count = context.message_count[message.vmpck];
  if (count == last_message_count) {
    return request.fail(Status::aead_oflow, "the VMPCK's sequence numbers are used up");
  }
  if (header.sequence_number != count + 1) {
    return request.fail(Status::aead_oflow, "the message is out of sequence");
  }
  return Status::success;
}

Status answer(Firmware& firmware, Request& request, const GuestMessageHeader& header,
              GuestMessage& message) {
  const MessageRow* row = find_message(header.message_type);
  if (row == nullptr) {
    return request.fail(Status::invalid_param, "no such type of message");
  }
  if (message.version == 0 || message.version > max_version(firmware, row->type)) {
    return request.fail(Status::invalid_param, "no such version of the message");
  }
  message.type = row->type;
  request.detail = row->detail;
  row->handler(firmware, request, message);
  return Status::success;
}

// With the VMPCK of the request, whatever the message did to the guest's keys.
Status seal(Firmware& firmware, Request& request, const Key256& vmpck, const GuestMessageHeader& to,
            GuestMessage& message) {
  const SystemPhysical at = request.address(0x10);
  if (at.page_offset() + header_bytes + message.response_bytes > page_size) {
    return request.fail(Status::invalid_param, "the response does not fit its page");
  }
  GuestMessageHeader header{};
  header.sequence_number = to.sequence_number + 1;
  header.algorithm = GuestMessageHeader::algorithm_aes_256_gcm;
  header.header_version = GuestMessageHeader::header_version_1;
  header.header_size = header_bytes;
  header.message_type = response_to(to.message_type);
  header.message_version = to.message_version;
  header.message_size = static_cast<u16>(message.response_bytes);
  header.message_vmpck = to.message_vmpck;
  const std::span<u8> payload = std::span(message.response).first(message.response_bytes);
  const std::array<u8, 12> iv = iv_of(header.sequence_number);
  const GcmTag tag = gcm_seal({vmpck, iv, authenticated(header)}, payload);
  std::copy(tag.begin(), tag.end(), header.auth_tag);
  firmware.port.write_value(at, header);
  firmware.port.write(at + header_bytes, payload);
  return Status::success;
}

void end_exported(Firmware& firmware, Request& request, const GuestMessage& message) {
  if (message.ends) {
    decommission(firmware, *message.ends, request.command);
    request.context = *message.ends == request.context_page ? nullptr : request.context;
  }
}

}  // namespace

Status snp_guest_request(Firmware& firmware, Request& request) {
  const SystemPhysical from = request.address(0x08);
  GuestMessageHeader header;
  GuestMessage message;
  Status status = read_header(firmware, request, from, header);
  if (status == Status::success) {
    status = open(firmware, request, from, header, message);
  }
  if (status != Status::success) {
    return status;
  }
  const Key256 vmpck = request.context->vmpck[message.vmpck];
  status = answer(firmware, request, header, message);
  if (status == Status::success) {
    status = seal(firmware, request, vmpck, header, message);
  }
  if (status == Status::success) {
    request.context->message_count[message.vmpck] += message.counts_replaced ? 0 : 2;
    refresh_context_image(firmware, request.context_page, sizeof(Digest));
    end_exported(firmware, request, message);
  }
  return status;
}

}  // namespace softsnp::psp
