#include "machine/psp/sev_packet.hpp"

#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/aes_ctr.hpp"
#include "machine/psp/sev_operands.hpp"
#include "machine/psp/sev_session.hpp"

namespace softsnp::psp {

namespace {

Status check_lengths(Request& request, const SevPacket& packet) {
  if (packet.header_len != sizeof(SevPacketHeader)) {
    return request.fail(Status::invalid_length, "the packet's header has 34h bytes");
  }
  if (packet.guest_len != packet.trans_len || packet.guest_len == 0 ||
      !is_aligned(packet.guest_len, sev_granule) || packet.guest_len > SevPacket::max_bytes) {
    return request.fail(Status::invalid_length,
                        "the lengths differ, are no multiple of 16 or above 5000h");
  }
  return Status::success;
}

// Addresses of a packet; incoming: the guest's memory is written, the rest read.
Status check_places(const Firmware& firmware, Request& request, const SevPacket& packet,
                    bool incoming) {
  const MemoryRange guest = MemoryRange::of(packet.guest_paddr, packet.guest_len);
  if (!is_aligned(guest.at.value(), sev_granule)) {
    return request.fail(Status::invalid_address, "the guest's memory is not 16-byte aligned");
  }
  const auto check = [&](const MemoryRange& range, bool written) {
    return written ? check_writable(firmware, request, range)
                   : check_readable(firmware, request, range);
  };
  Status status = check(guest, incoming);
  if (status == Status::success) {
    status = check(MemoryRange::of(packet.header_paddr, packet.header_len), !incoming);
  }
  if (status == Status::success) {
    status = check(MemoryRange::of(packet.trans_paddr, packet.trans_len), !incoming);
  }
  return status;
}

}  // namespace

Result<std::vector<u8>, Status> open_packet(Firmware& firmware, Request& request,
                                            SevMacContext context,
                                            std::span<const u8> measurement) {
  const auto packet = request.as<SevPacket>();
  Status status = check_lengths(request, packet);
  if (status == Status::success) {
    status = check_places(firmware, request, packet, true);
  }
  if (status != Status::success) {
    return Failure{status};
  }
  SevPacketHeader header;
  firmware.port.read_value(FirmwarePort::address(packet.header_paddr), header);
  if ((header.flags & SevPacketHeader::compressed) != 0) {
    return Failure{request.fail(Status::unsupported, "compressed packets are not supported")};
  }
  std::vector<u8> data = read_memory(
      firmware, MemoryRange::of(packet.trans_paddr, packet.trans_len), memory::KeyId::none);
  const SevTransportKeys& keys = request.sev_guest->transport;
  if (!equal_macs(packet_mac(keys.integrity, context, header, data, measurement), header.mac)) {
    return Failure{request.fail(Status::bad_measurement, "the packet's MAC is not right")};
  }
  aes_ctr(keys.encryption, header.iv, data);
  return data;
}

Status send_packet(Firmware& firmware, Request& request) {
  auto packet = request.as<SevPacket>();
  Status status = check_lengths(request, packet);
  if (status != Status::success) {
    packet.header_len = sizeof(SevPacketHeader);
    packet.trans_len = packet.guest_len;
    request.put(packet);
    return status;
  }
  status = check_places(firmware, request, packet, false);
  if (status != Status::success) {
    return status;
  }
  const SevGuest& guest = *request.sev_guest;
  const MemoryRange memory = MemoryRange::of(packet.guest_paddr, packet.guest_len);
  std::vector<u8> data = read_memory(firmware, memory, memory::key_of(guest.asid));
  SevPacketHeader header{};
  draw(firmware.state.drbg, firmware.sha, header.iv);
  aes_ctr(guest.transport.encryption, header.iv, data);
  store_le(header.mac,
           packet_mac(guest.transport.integrity, SevMacContext::send_update, header, data, {}));
  firmware.port.write_value(FirmwarePort::address(packet.header_paddr), header);
  write_memory(firmware, FirmwarePort::address(packet.trans_paddr), data, memory::KeyId::none);
  return Status::success;
}

}  // namespace softsnp::psp
