// DBG_DECRYPT and DBG_ENCRYPT of legacy guests. Firmware sheet 7.1.
#include <algorithm>

#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/sev_handlers.hpp"
#include "machine/psp/sev_operands.hpp"

namespace softsnp::psp {

namespace {

// Addresses, length, policy, ASID: in the sheet's order.
Status check_debug(const Firmware& firmware, Request& request, const MemoryRange& from,
                   const MemoryRange& to) {
  const SevGuest& guest = *request.sev_guest;
  if (!is_aligned(to.at.value(), sev_granule)) {
    return request.fail(Status::invalid_address, "the target is not a multiple of 16");
  }
  Status status = check_granules(request, from);
  if (status != Status::success) {
    return status;
  }
  if ((guest.policy & sev_policy::nodbg) != 0) {
    return request.fail(Status::policy_failure, "the policy forbids debugging");
  }
  if (!guest.active()) {
    return request.fail(Status::inactive, "the guest has no ASID");
  }
  status = check_readable(firmware, request, from);
  return status == Status::success ? check_writable(firmware, request, to) : status;
}

Status transfer(Firmware& firmware, Request& request, bool decrypt) {
  const auto debug = request.as<SevDebug>();
  const MemoryRange from = MemoryRange::of(debug.src_paddr, debug.length);
  const MemoryRange to = MemoryRange::of(debug.dst_paddr, debug.length);
  const Status status = check_debug(firmware, request, from, to);
  if (status != Status::success) {
    return status;
  }
  const memory::KeyId guest = memory::key_of(request.sev_guest->asid);
  const memory::KeyId source = decrypt ? guest : memory::KeyId::none;
  const memory::KeyId target = decrypt ? memory::KeyId::none : guest;
  constexpr u64 chunk = 16 * page_size;
  for (u64 done = 0; done < from.bytes; done += chunk) {
    const u64 count = std::min(chunk, from.bytes - done);
    write_memory(firmware, to.at + done, read_memory(firmware, {from.at + done, count}, source),
                 target);
  }
  return Status::success;
}

}  // namespace

Status sev_dbg_decrypt(Firmware& firmware, Request& request) {
  return transfer(firmware, request, true);
}

Status sev_dbg_encrypt(Firmware& firmware, Request& request) {
  return transfer(firmware, request, false);
}

}  // namespace softsnp::psp
