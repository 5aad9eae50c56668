// SNP_GCTX_CREATE, SNP_DECOMMISSION, SNP_ACTIVATE(_EX). Firmware sheet 1.6.
#include <algorithm>

#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/handlers.hpp"

namespace softsnp::psp {

Status snp_gctx_create(Firmware& firmware, Request& request) {
  const SystemPhysical page = request.pages[0].at;
  GuestContext context;
  draw(firmware.state.drbg, firmware.sha, context.vek.bytes);
  context.launch_tcb = encode_tcb(firmware.config.product, firmware.state.committed_tcb);
  context.launch_mitigation_vector = firmware.config.mitigation_vector;
  firmware.state.guests.insert_or_assign(page, context);
  refresh_context_image(firmware, page, page_size);
  firmware.port.write_entry(page, context_entry(), request.command);
  return Status::success;
}

void decommission(Firmware& firmware, SystemPhysical context_page, Command command) {
  PspState& state = firmware.state;
  const GuestContext& context = state.guests.at(context_page);
  if (context.active()) {
    if (state.asids.release(context.asid)) {
      firmware.platform.restart_flush_tracking();
    }
    firmware.port.dram().keys().erase(memory::key_of(context.asid));
  }
  if (context.state != GuestState::init) {
    --state.guest_count;
  }
  state.guests.erase(context_page);
  firmware.port.write_entry(context_page, firmware_entry(), command);
}

Status snp_decommission(Firmware& firmware, Request& request) {
  decommission(firmware, request.context_page, request.command);
  request.context = nullptr;
  return Status::success;
}

namespace {

// The highest ASID that SNP guests may have: MIN_SEV_ASID - 1 (CPUID 8000001F EDX).
u32 highest_snp_asid(const PlatformView& platform) {
  const CpuidValues leaf = platform.cpuid(0x8000001F, 0);
  const u32 below_sev = leaf.edx == 0 ? 0 : leaf.edx - 1;
  return std::min({below_sev, leaf.ecx, snp::max_asid});
}

Status activate(Firmware& firmware, Request& request, u32 asid_number) {
  PspState& state = firmware.state;
  GuestContext& context = *request.context;
  const auto asid = static_cast<Asid>(asid_number);
  const bool exists = asid_number != 0 && asid_number <= snp::max_asid;
  if (exists && firmware.port.rmp().assigned_pages(asid) != 0) {
    return request.fail(Status::invalid_config, "pages are assigned to the ASID already");
  }
  if ((context.policy & policy::single_socket) != 0 && firmware.platform.socket_count() > 1) {
    return request.fail(Status::policy_failure, "POLICY.SINGLE_SOCKET on a multi-socket system");
  }
  if (!exists || asid_number > highest_snp_asid(firmware.platform)) {
    return request.fail(Status::invalid_asid, "the ASID is zero or not one of SNP guests");
  }
  if (state.asids.bound(asid) && context.asid != asid) {
    return request.fail(Status::asid_owned, "the ASID belongs to another guest");
  }
  if (context.active()) {
    return request.fail(Status::active, "the guest has an ASID already");
  }
  if (state.asids.state(asid) == AsidState::dirty) {
    return request.fail(Status::df_flush_required, "the ASID is dirty");
  }
  state.asids.bind(asid, context.state == GuestState::running);
  context.asid = asid;
  firmware.port.dram().keys().install(memory::key_of(asid), context.vek);
  return Status::success;
}

}  // namespace

Status snp_activate(Firmware& firmware, Request& request) {
  return activate(firmware, request, request.as<SnpActivate>().asid);
}

Status snp_activate_ex(Firmware& firmware, Request& request) {
  // The ids name core complexes; all share one ASID table (asid_table.hpp).
  const auto command = request.as<SnpActivateEx>();
  if (command.num_ids == 0 || command.num_ids > firmware.platform.core_count()) {
    return request.fail(Status::invalid_param, "more APIC ids than cores, or none");
  }
  if (!firmware.port.in_dram(FirmwarePort::address(command.ids_paddr),
                             u64{command.num_ids} * sizeof(u32))) {
    return request.fail(Status::invalid_address, "no memory at the list of APIC ids");
  }
  return activate(firmware, request, command.asid);
}

}  // namespace softsnp::psp
