// The messages of migration agents. Firmware sheet 4.3. Guests are neither swapped out nor moved
// here: a sender that firmware would refuse gets its answer, one that it would serve gets
// UNSUPPORTED, save for VMRK.
#include <algorithm>

#include "machine/psp/guest_message.hpp"

namespace softsnp::psp {

namespace {

template <class Response>
void answer_status(GuestMessage& message, Status status) {
  Response response{};
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

// An exported context's version and size, then its root metadata entry, whose bit 0 at 20h is
// VALID (firmware sheet 1.6, MDATA).
Status check_import(const ImportRequest& asked, const GuestMessage& message, bool root_valid) {
  constexpr usize flags_at = 0x20;
  if (!message.zero(offsetof(ImportRequest, mbz_10), sizeof asked.mbz_10) ||
      asked.size != sizeof asked.context || asked.version != ExportedContext::version_3) {
    return Status::invalid_param;
  }
  const bool valid = (asked.context.root_mdata[flags_at] & 1) != 0;
  return valid == root_valid ? Status::success : Status::invalid_mdata_entry;
}

Status check_export(Firmware& firmware, const GuestContext& sender, const GuestMessage& message) {
  const auto asked = message.as<ExportRequest>();
  if ((asked.flags & ~ExportRequest::imi_en) != 0) {
    return Status::invalid_param;
  }
  const GuestContext* target = find_guest(firmware, asked.gctx_paddr);
  if (target == nullptr || target->state != GuestState::running) {
    return Status::invalid_guest;
  }
  const bool itself = target == &sender && !sender.has_migration_agent && message.vmpck == 0;
  return itself || is_agent_of(sender, *target) ? Status::unsupported : Status::invalid_guest;
}

Status import_status(Firmware& firmware, const GuestMessage& message) {
  const auto asked = message.as<ImportRequest>();
  const GuestContext* target = find_guest(firmware, asked.gctx_paddr);
  if (target == nullptr) {
    return Status::invalid_guest;
  }
  if (target->state != GuestState::init) {
    return Status::invalid_guest_state;
  }
  const Status status = check_import(asked, message, true);
  return status == Status::success ? Status::unsupported : status;
}

Status absorb_status(Firmware& firmware, const GuestMessage& message) {
  const auto asked = message.as<ImportRequest>();
  const GuestContext* target = find_guest(firmware, asked.gctx_paddr);
  if (target == nullptr) {
    return Status::invalid_guest;
  }
  if (target->state != GuestState::launch || !target->imi_en) {
    return Status::invalid_guest_state;
  }
  const Status status = check_import(asked, message, false);
  if (status == Status::success && asked.context.imi_digest != target->launch_digest) {
    return Status::bad_measurement;
  }
  return status == Status::success ? Status::unsupported : status;
}

Status absorb_noma_status(const GuestContext& sender, const GuestMessage& message) {
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
  return status == Status::success ? Status::unsupported : status;
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
  answer_status<ExportResponse>(message, check_export(firmware, *request.context, message));
}

void answer_import(Firmware& firmware, Request&, GuestMessage& message) {
  answer_status<StatusResponse>(message, import_status(firmware, message));
}

void answer_absorb(Firmware& firmware, Request&, GuestMessage& message) {
  answer_status<StatusResponse>(message, absorb_status(firmware, message));
}

void answer_absorb_noma(Firmware&, Request& request, GuestMessage& message) {
  answer_status<StatusResponse>(message, absorb_noma_status(*request.context, message));
}

void answer_vmrk(Firmware& firmware, Request& request, GuestMessage& message) {
  answer_status<StatusResponse>(message, give_vmrk(firmware, *request.context, message));
}

}  // namespace softsnp::psp
