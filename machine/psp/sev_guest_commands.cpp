// ACTIVATE(_EX), DEACTIVATE, DECOMMISSION, GUEST_STATUS, COPY of legacy guests. Firmware sheet 7.1,
// 1.4 (ASID).
#include <algorithm>

#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/sev_handlers.hpp"
#include "machine/psp/sev_operands.hpp"

namespace softsnp::psp {

namespace {

// ES guests have 1..MIN_SEV_ASID-1, the others what is above (CPUID 8000001F ECX, EDX).
bool asid_fits(const Firmware& firmware, const SevGuest& guest, u32 asid) {
  const CpuidValues leaf = firmware.platform.cpuid(0x8000001F, 0);
  if (asid == 0 || asid > std::min(leaf.ecx, snp::max_asid)) {
    return false;
  }
  return guest.encrypted_state() == (asid < leaf.edx);
}

Status activate(Firmware& firmware, Request& request, u32 asid_number) {
  AsidTable& asids = firmware.state.asids;
  SevGuest& guest = *request.sev_guest;
  const auto asid = static_cast<Asid>(asid_number);
  if (!asid_fits(firmware, guest, asid_number)) {
    return request.fail(Status::invalid_asid, "the ASID is not one of this kind of guest");
  }
  if (asids.bound(asid) && guest.asid != asid) {
    return request.fail(Status::asid_owned, "the ASID belongs to another guest");
  }
  if (guest.active()) {
    return request.fail(Status::active, "the guest has an ASID already");
  }
  if (asids.state(asid) == AsidState::dirty) {
    return request.fail(Status::df_flush_required, "the ASID is dirty");
  }
  const bool launched = guest.state != SevGuestState::lupdate &&
                        guest.state != SevGuestState::lsecret &&
                        guest.state != SevGuestState::rupdate;
  asids.bind(asid, launched);
  guest.asid = asid;
  firmware.port.dram().keys().install(memory::key_of(asid), guest.vek);
  return Status::success;
}

}  // namespace

void take_asid(Firmware& firmware, SevGuest& guest) {
  if (!guest.active()) {
    return;
  }
  if (firmware.state.asids.release(guest.asid)) {
    firmware.platform.restart_flush_tracking();
  }
  firmware.port.dram().keys().erase(memory::key_of(guest.asid));
  guest.asid = Asid::host;
}

Status sev_activate(Firmware& firmware, Request& request) {
  return activate(firmware, request, request.as<SevActivate>().asid);
}

// The ids name core complexes; all share one ASID table (asid_table.hpp).
Status sev_activate_ex(Firmware& firmware, Request& request) {
  const auto command = request.as<SevActivateEx>();
  if (command.num_ids == 0 || command.num_ids > firmware.platform.core_count()) {
    return request.fail(Status::invalid_param, "more APIC ids than cores, or none");
  }
  const Status status = check_readable(
      firmware, request, MemoryRange::of(command.ids_paddr, u64{command.num_ids} * sizeof(u32)));
  return status == Status::success ? activate(firmware, request, command.asid) : status;
}

Status sev_deactivate(Firmware& firmware, Request& request) {
  take_asid(firmware, *request.sev_guest);
  return Status::success;
}

Status sev_decommission(Firmware& firmware, Request& request) {
  SevState& sev = firmware.state.sev;
  if (request.sev_guest->active()) {
    return request.fail(Status::active, "the guest still has an ASID");
  }
  for (const u32 block : request.sev_guest->checksum_blocks) {
    sev.checksum_blocks.erase(block);
  }
  request.sev_guest = nullptr;
  sev.guests.erase(request.handle);
  if (sev.guests.empty()) {
    sev.platform = SevPlatformState::init;
  }
  return Status::success;
}

// An unknown handle is answered, not refused.
Status sev_guest_status(Firmware& firmware, Request& request) {
  auto status = request.as<SevGuestStatus>();
  const auto found = firmware.state.sev.guests.find(status.handle);
  const bool known = found != firmware.state.sev.guests.end();
  status.policy = known ? found->second.policy : 0;
  status.asid = known ? number(found->second.asid) : 0;
  status.state = static_cast<u8>(known ? found->second.state : SevGuestState::invalid);
  request.put(status);
  return Status::success;
}

namespace {

// The plaintext moves, so its ciphertext becomes that of the new place.
void copy_page(Firmware& firmware, SystemPhysical from, SystemPhysical to, memory::KeyId key) {
  write_memory(firmware, to, read_memory(firmware, {from, page_size}, key), key);
}

}  // namespace

Status sev_copy(Firmware& firmware, Request& request) {
  const auto command = request.as<SevCopy>();
  const MemoryRange from = MemoryRange::of(command.src_paddr, command.length);
  const MemoryRange to = MemoryRange::of(command.dst_paddr, command.length);
  if (!from.at.is_page_aligned() || !to.at.is_page_aligned()) {
    return request.fail(Status::invalid_address, "source or target is not page-aligned");
  }
  if (command.length == 0 || !is_aligned(command.length, page_size)) {
    return request.fail(Status::invalid_length, "the length is not a number of pages");
  }
  Status status = check_readable(firmware, request, from);
  if (status == Status::success) {
    status = check_writable(firmware, request, to);
  }
  if (status != Status::success) {
    return status;
  }
  const memory::KeyId key = memory::key_of(request.sev_guest->asid);
  const u64 pages = command.length / page_size;
  for (u64 at = 0; at < pages; ++at) {  // backwards where the target overlaps the source's end
    const u64 offset = (to.at > from.at ? pages - 1 - at : at) * page_size;
    copy_page(firmware, from.at + offset, to.at + offset, key);
  }
  return Status::success;
}

}  // namespace softsnp::psp
