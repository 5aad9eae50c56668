// The messages of migration agents: EXPORT, IMPORT, ABSORB, ABSORB_NOMA, VMRK. Firmware sheet 4.3.
#include <algorithm>

#include "machine/psp/exported_context.hpp"

namespace softsnp::psp {

namespace {

void answer_status(GuestMessage& message, Status status) {
  StatusResponse response{};
  response.status = number(status);
  message.answer(response);
}

GuestContext* find_guest(Firmware& firmware, u64 gctx_paddr) {
  const SystemPhysical page = FirmwarePort::address(gctx_paddr);
  const auto found = firmware.state.guests.find(page);
  return found != firmware.state.guests.end() && firmware.port.state(page) == PageState::context
             ? &found->second
             : nullptr;
}

bool is_agent_of(const GuestContext& sender, const GuestContext& target) {
  return target.has_migration_agent && target.report_id_ma == sender.report_id;
}

Status check_import(const ImportRequest& asked, const GuestMessage& message, bool root_valid) {
  if (!message.zero(offsetof(ImportRequest, mbz_10), sizeof asked.mbz_10) ||
      asked.size != sizeof asked.context || asked.version != ExportedContext::version_3) {
    return Status::invalid_param;
  }
  const bool valid = (asked.context.root_mdata.page & MdataEntry::valid) != 0;
  return valid == root_valid ? Status::success : Status::invalid_mdata_entry;
}

// To the guest's agent, or to itself if it has none.
Status export_guest(Firmware& firmware, const GuestContext& sender, GuestMessage& message,
                    ExportResponse& response) {
  const auto asked = message.as<ExportRequest>();
  if ((asked.flags & ~ExportRequest::imi_en) != 0) {
    return Status::invalid_param;
  }
  const GuestContext* target = find_guest(firmware, asked.gctx_paddr);
  if (target == nullptr || target->state != GuestState::running) {
    return Status::invalid_guest;
  }
  const bool itself = target == &sender && !sender.has_migration_agent && message.vmpck == 0;
  if (!itself && !is_agent_of(sender, *target)) {
    return Status::invalid_guest;
  }
  const bool image = (asked.flags & ExportRequest::imi_en) != 0;
  response.context_size = sizeof response.context;
  response.context_version = ExportedContext::version_3;
  response.context = export_context(*target, !image);
  if (!image) {
    message.ends = FirmwarePort::address(asked.gctx_paddr);
  }
  return Status::success;
}

Status import_guest(Firmware& firmware, const GuestContext& sender, const GuestMessage& message) {
  const auto asked = message.as<ImportRequest>();
  GuestContext* target = find_guest(firmware, asked.gctx_paddr);
  if (target == nullptr) {
    return Status::invalid_guest;
  }
  if (target->state != GuestState::init) {
    return Status::invalid_guest_state;
  }
  const Status status = check_import(asked, message, true);
  if (status == Status::success) {
    draw(firmware.state.drbg, firmware.sha, target->report_id);
    target->report_id_ma = sender.report_id;
    target->has_migration_agent = true;
    import_context(firmware, *target, asked.context);
    ++firmware.state.guest_count;
    refresh_context_image(firmware, FirmwarePort::address(asked.gctx_paddr), page_size);
  }
  return status;
}

Status absorb(Firmware& firmware, const GuestContext& sender, const GuestMessage& message) {
  const auto asked = message.as<ImportRequest>();
  GuestContext* target = find_guest(firmware, asked.gctx_paddr);
  if (target == nullptr) {
    return Status::invalid_guest;
  }
  if (target->state != GuestState::launch || !target->imi_en) {
    return Status::invalid_guest_state;
  }
  Status status = check_import(asked, message, false);
  if (status == Status::success && !is_agent_of(sender, *target)) {
    status = Status::invalid_guest;
  }
  if (status == Status::success && asked.context.imi_digest != target->launch_digest) {
    status = Status::bad_measurement;
  }
  if (status == Status::success) {
    import_context(firmware, *target, asked.context);
    refresh_context_image(firmware, FirmwarePort::address(asked.gctx_paddr), page_size);
  }
  return status;
}

Status absorb_itself(Firmware& firmware, GuestContext& sender, GuestMessage& message) {
  const auto asked = message.as<ImportRequest>();
  if (asked.gctx_paddr != 0) {
    return Status::invalid_param;
  }
  if (sender.has_migration_agent) {
    return Status::invalid_guest;
  }
  const Status status = check_import(asked, message, false);
  if (status == Status::success && (asked.context.imi_digest != sender.launch_digest ||
                                    asked.context.imi_digest != sender.imi_digest)) {
    return Status::bad_measurement;
  }
  if (status == Status::success) {
    import_context(firmware, sender, asked.context);
    message.counts_replaced = true;
  }
  return status;
}

// The agent gives a guest in launch the root of keys that outlive its migrations.
Status give_vmrk(Firmware& firmware, const GuestContext& sender, const GuestMessage& message) {
  const auto asked = message.as<VmrkRequest>();
  if (!message.zero(offsetof(VmrkRequest, mbz_08), sizeof asked.mbz_08) || message.vmpck != 0) {
    return Status::invalid_param;
  }
  GuestContext* target = find_guest(firmware, asked.gctx_paddr);
  if (target == nullptr) {
    return Status::invalid_guest;
  }
  if (target->state != GuestState::launch || target->imi_en) {
    return Status::invalid_guest_state;
  }
  if (!is_agent_of(sender, *target)) {
    return Status::invalid_guest;
  }
  std::copy_n(asked.vmrk, sizeof asked.vmrk, target->vmrk.begin());
  return Status::success;
}

}  // namespace

void answer_export(Firmware& firmware, Request& request, GuestMessage& message) {
  ExportResponse response{};
  response.status = number(export_guest(firmware, *request.context, message, response));
  message.answer(response);
}

void answer_import(Firmware& firmware, Request& request, GuestMessage& message) {
  answer_status(message, import_guest(firmware, *request.context, message));
}

void answer_absorb(Firmware& firmware, Request& request, GuestMessage& message) {
  answer_status(message, absorb(firmware, *request.context, message));
}

void answer_absorb_noma(Firmware& firmware, Request& request, GuestMessage& message) {
  answer_status(message, absorb_itself(firmware, *request.context, message));
}

void answer_vmrk(Firmware& firmware, Request& request, GuestMessage& message) {
  answer_status(message, give_vmrk(firmware, *request.context, message));
}

}  // namespace softsnp::psp
