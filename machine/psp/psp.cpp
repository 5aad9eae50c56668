#include "machine/psp/psp.hpp"

#include "machine/psp/command_row.hpp"

namespace softsnp::psp {

namespace {

PspState initial_state(const PspConfig& config) {
  PspState state;
  state.current_tcb = config.tcb;
  state.committed_tcb = state.reported_tcb = config.committed_tcb.value_or(config.tcb);
  state.committed_version = config.version;
  state.drbg.seed = config.seed;
  return state;
}

SystemPhysical last_byte(const CommandRow& row, SystemPhysical buffer) {
  return buffer + (row.bytes - 1u);
}

// Legacy commands that write their own buffer (firmware sheet 1.1). The RMP and the TMR are no
// place for one: their pages would be written and handed back.
Status buffer_place(const Firmware& firmware, const CommandRow& row, SystemPhysical buffer) {
  if (firmware.port.touches_rmp(buffer, row.bytes)) {
    return Status::invalid_param;
  }
  return firmware.state.sev.tmr.touches(buffer, row.bytes) ? Status::invalid_address
                                                           : Status::success;
}

bool buffer_pages_good(const Firmware& firmware, const CommandRow& row, SystemPhysical buffer) {
  const auto good = [&](SystemPhysical at) {
    const PageState state = firmware.port.state(at.page());
    return state == PageState::firmware || state == PageState::default_;
  };
  return good(buffer) && good(last_byte(row, buffer));
}

void hand_buffer_back(Firmware& firmware, const CommandRow& row, const Request& request) {
  for (const SystemPhysical at : {request.buffer, last_byte(row, request.buffer)}) {
    const PageView page = firmware.port.view(at.page());
    if (firmware.port.state(page.at) == PageState::firmware) {
      const SystemPhysical base = page.size == PageSize::size_2m ? page.at.large_page() : page.at;
      firmware.port.write_page(base, page.size, mutable_again(page.entry), request.command);
    }
  }
}

void write_back(Firmware& firmware, const CommandRow& row, Request& request, Status status) {
  if (status == Status::success ||
      (status == Status::invalid_length && row.write_back == WriteBack::on_length_error)) {
    firmware.port.write(request.buffer, std::span<const u8>(request.bytes).first(row.bytes));
  }
}

// From the buffer's bytes to the status; the row has a handler.
Status execute(Firmware& firmware, const CommandRow& row, Request& request) {
  const bool live = firmware.state.platform == PlatformState::init;
  if (row.nothing_when_uninit && !live) {
    return Status::success;
  }
  if (row.bytes != 0 &&
      !firmware.port.read(request.buffer, std::span(request.bytes).first(row.bytes))) {
    return request.fail(Status::invalid_address, "no memory at the command buffer");
  }
  const bool written = row.write_back != WriteBack::never;
  if (written) {
    const Status place = buffer_place(firmware, row, request.buffer);
    if (place != Status::success) {
      return request.fail(place, "the command buffer lies in the RMP or the TMR");
    }
  }
  const bool handed_over = written && live;
  if (handed_over && !buffer_pages_good(firmware, row, request.buffer)) {
    return request.fail(
        static_cast<Status>(number(Status::invalid_page_state) + command_buffer_page_error),
        "the command buffer's page is not FIRMWARE");
  }
  Status status = common_checks(firmware, row, request);
  if (status == Status::success) {
    status = row.handler(firmware, request);
  }
  if (written) {
    write_back(firmware, row, request, status);
  }
  if (handed_over) {
    hand_buffer_back(firmware, row, request);
  }
  return status;
}

CommandEvent describe(u32 id, const CommandRow* row, const Request& request, Status status) {
  CommandEvent event;
  event.id = id;
  event.name = name(static_cast<Command>(id));
  event.status = status;
  event.buffer = request.buffer;
  event.detail = request.detail;
  if (row != nullptr && row->context != CommandRow::no_context) {
    event.context = request.context_page;
  }
  if (request.context != nullptr) {
    event.asid = request.context->asid;
  }
  if (request.handle != 0) {
    event.handle = request.handle;
  }
  if (request.sev_guest != nullptr) {
    event.asid = request.sev_guest->asid;
  }
  if (request.named_page != nullptr) {
    event.page = *request.named_page;
  } else if (row != nullptr && !row->pages.empty()) {
    event.page = request.pages[0];
  }
  return event;
}

}  // namespace

Psp::Psp(const PspConfig& config, memory::Dram& dram, memory::Rmp& rmp, PlatformView& platform,
         Observer* observer)
    : firmware_{config,
                initial_state(config),
                FirmwarePort(dram, rmp),
                platform,
                observer,
                {},
                SigningKeys(make_chip(config)),
                {}} {}

Status Psp::command(u32 id, SystemPhysical buffer) {
  const CommandRow* row = find_row(id);
  Request request;
  request.command = static_cast<Command>(id);
  request.buffer = FirmwarePort::address(buffer.value());
  Status status = Status::invalid_command;
  if (row == nullptr) {
    request.detail = "no such command";
  } else if (row->handler == nullptr) {
    status = row->without_handler;
    request.detail = "the command is not implemented";
  } else {
    status = execute(firmware_, *row, request);
  }
  if (firmware_.observer != nullptr) {
    firmware_.observer->command_done(describe(id, row, request, status));
  }
  return status;
}

const GuestContext* Psp::guest(SystemPhysical context_page) const {
  const auto found = firmware_.state.guests.find(context_page);
  return found != firmware_.state.guests.end() ? &found->second : nullptr;
}

const SevGuest* Psp::sev_guest(u32 handle) const {
  const auto found = firmware_.state.sev.guests.find(handle);
  return found != firmware_.state.sev.guests.end() ? &found->second : nullptr;
}

}  // namespace softsnp::psp
