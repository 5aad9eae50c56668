// LAUNCH_UPDATE_DATA, LAUNCH_UPDATE_VMSA, LAUNCH_MEASURE, LAUNCH_SECRET, LAUNCH_FINISH,
// ATTESTATION. Firmware sheet 7.1, 7.3.
#include <algorithm>

#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/sev_handlers.hpp"
#include "machine/psp/sev_identity.hpp"
#include "machine/psp/sev_operands.hpp"
#include "machine/psp/sev_packet.hpp"
#include "machine/psp/sev_session.hpp"
#include "machine/psp/sev_vmsa.hpp"

namespace softsnp::psp {

namespace {

// Page by page: a guest's memory may be large.
void measure_and_encrypt(Firmware& firmware, SevGuest& guest, const MemoryRange& range) {
  memory::Dram& dram = firmware.port.dram();
  const memory::KeyId key = memory::key_of(guest.asid);
  for (u64 done = 0; done < range.bytes;) {
    const SystemPhysical at = range.at + done;
    const u64 count = std::min(page_size - at.page_offset(), range.bytes - done);
    const std::vector<u8> plain = read_memory(firmware, {at, count}, memory::KeyId::none);
    guest.launch_stream.add(plain);
    if (count == page_size) {
      dram.reencrypt_in_place(at, memory::KeyId::none, key);
    } else {
      write_memory(firmware, at, plain, key);
    }
    done += count;
  }
}

}  // namespace

Status sev_launch_update_data(Firmware& firmware, Request& request) {
  const auto update = request.as<SevLaunchUpdate>();
  const MemoryRange range = MemoryRange::of(update.paddr, update.length);
  Status status = check_granules(request, range);
  if (status == Status::success) {
    status = check_writable(firmware, request, range);
  }
  if (status == Status::success) {
    measure_and_encrypt(firmware, *request.sev_guest, range);
  }
  return status;
}

Status sev_launch_update_vmsa(Firmware& firmware, Request& request) {
  const auto update = request.as<SevLaunchUpdate>();
  const MemoryRange range = MemoryRange::of(update.paddr, update.length);
  Status status = check_granules(request, range);
  if (status == Status::success) {
    status = check_vmsa_update(request, update.length);
  }
  if (status == Status::success) {
    status = check_writable(firmware, request, range);
  }
  if (status != Status::success) {
    return status;
  }
  const std::vector<u8> plain = read_memory(firmware, range, memory::KeyId::none);
  status = place_vmsa(firmware, request, std::span(plain).first<page_size>(), range.at);
  if (status == Status::success) {
    request.sev_guest->launch_stream.add(plain);
  }
  return status;
}

Status sev_launch_measure(Firmware& firmware, Request& request) {
  auto command = request.as<SevLaunchUpdate>();
  SevGuest& guest = *request.sev_guest;
  const bool fits = command.length >= sizeof(SevMeasurement);
  command.length = sizeof(SevMeasurement);
  request.put(command);
  if (!fits) {
    return request.fail(Status::invalid_length, "the buffer is shorter than the measurement");
  }
  const MemoryRange to = MemoryRange::of(command.paddr, sizeof(SevMeasurement));
  const Status status = check_writable(firmware, request, to);
  if (status != Status::success) {
    return status;
  }
  SevMeasurement measurement;
  draw(firmware.state.drbg, firmware.sha, measurement.nonce);
  guest.launch_digest = guest.launch_stream.digest();
  guest.measurement_mac = measurement_mac(guest.transport.integrity, firmware.config.version,
                                          guest.policy, guest.launch_digest, measurement.nonce);
  store_le(measurement.mac, guest.measurement_mac);
  firmware.port.write_value(to.at, measurement);
  guest.state = SevGuestState::lsecret;
  return Status::success;
}

Status sev_launch_secret(Firmware& firmware, Request& request) {
  const SevGuest& guest = *request.sev_guest;
  const auto packet =
      open_packet(firmware, request, SevMacContext::launch_secret, guest.measurement_mac);
  if (!packet.ok()) {
    return packet.error();
  }
  write_memory(firmware, FirmwarePort::address(request.as<SevPacket>().guest_paddr), packet.value(),
               memory::key_of(guest.asid));
  return Status::success;
}

Status sev_launch_finish(Firmware& firmware, Request& request) {
  SevGuest& guest = *request.sev_guest;
  guest.state = SevGuestState::running;
  if (guest.active()) {
    firmware.state.asids.start_running(guest.asid);
  }
  return Status::success;
}

Status sev_attestation(Firmware& firmware, Request& request) {
  auto command = request.as<SevAttestation>();
  const bool fits = command.length >= sizeof(SevAttestationReport);
  command.length = sizeof(SevAttestationReport);
  request.put(command);
  if (!fits) {
    return request.fail(Status::invalid_length, "the buffer is shorter than the report");
  }
  const MemoryRange to = MemoryRange::of(command.paddr, sizeof(SevAttestationReport));
  const Status status = check_writable(firmware, request, to);
  if (status == Status::success) {
    SevAttestationReport report{};
    std::copy_n(command.nonce, sizeof command.nonce, report.nonce);
    store_le(report.launch_digest, request.sev_guest->launch_digest);
    report.policy = request.sev_guest->policy;
    sign_report(firmware, report);
    firmware.port.write_value(to.at, report);
  }
  return status;
}

}  // namespace softsnp::psp
