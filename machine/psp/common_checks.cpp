// Firmware sheet 1.6, "Common check order": MBZ, platform state, context page, page states, page
// sizes, alignment, guest state, ASID active, page owner. One function a step.
#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/command_row.hpp"

namespace softsnp::psp {

namespace {

Status check_zero(const CommandRow& row, Request& request) {
  for (const MustBeZero& zero : row.zero) {
    if ((request.field(zero.offset) & zero.mask) != 0) {
      return request.fail(Status::invalid_param, "a field that must be zero is not");
    }
  }
  const Status status = row.parameters != nullptr ? row.parameters(request) : Status::success;
  return status == Status::success ? status : request.fail(status, "a parameter is out of range");
}

bool sev_state_fits(SevRule rule, SevPlatformState state) {
  switch (rule) {
    case SevRule::any:
      return true;
    case SevRule::uninit:
      return state == SevPlatformState::uninit;
    case SevRule::init:
      return state == SevPlatformState::init;
    case SevRule::initialised:
      return state != SevPlatformState::uninit;
    case SevRule::working:
      return state == SevPlatformState::working;
  }
  return false;
}

Status check_platform(const Firmware& firmware, const CommandRow& row, Request& request) {
  const bool init = firmware.state.platform == PlatformState::init;
  if ((row.platform == PlatformRule::init && !init) ||
      (row.platform == PlatformRule::uninit && init)) {
    return request.fail(Status::invalid_platform_state,
                        init ? "the SNP platform is INIT" : "the SNP platform is UNINIT");
  }
  if (!sev_state_fits(row.sev, firmware.state.sev.platform)) {
    return request.fail(Status::invalid_platform_state, "the SEV platform is in the wrong state");
  }
  return Status::success;
}

Status check_address(const Firmware& firmware, Request& request, const PageView& page, u64 bytes) {
  if (firmware.port.touches_rmp(page.at, bytes)) {
    return request.fail(Status::invalid_param, "the address lies in the RMP", page);
  }
  if (!firmware.port.in_dram(page.at, bytes) && !firmware.port.rmp().covered(page.at)) {
    return request.fail(Status::invalid_address, "no memory at the address", page);
  }
  if (firmware.state.sev.tmr.touches(page.at, bytes)) {
    return request.fail(Status::invalid_address, "the address lies in the TMR", page);
  }
  return Status::success;
}

// Of a legacy guest: handle, state, ASID.
Status check_sev_guest(Firmware& firmware, const CommandRow& row, Request& request) {
  if (row.handle == CommandRow::no_context) {
    return Status::success;
  }
  request.handle = static_cast<u32>(request.field(row.handle));
  const auto found = firmware.state.sev.guests.find(request.handle);
  if (found == firmware.state.sev.guests.end()) {
    return request.fail(Status::invalid_guest, "no legacy guest has this handle");
  }
  request.sev_guest = &found->second;
  if ((row.sev_states & sev_guest::in(found->second.state)) == 0) {
    return request.fail(Status::invalid_guest_state, "the guest is in the wrong state");
  }
  if (row.sev_active && !found->second.active()) {
    return request.fail(Status::inactive, "the guest has no ASID");
  }
  return Status::success;
}

Status check_context(Firmware& firmware, const CommandRow& row, Request& request) {
  if (row.context == CommandRow::no_context) {
    return Status::success;
  }
  request.context_page = request.address(row.context);
  request.pages[0] = firmware.port.view(request.context_page);
  const Status status = check_address(firmware, request, request.pages[0], page_size);
  if (status != Status::success) {
    return status;
  }
  const auto found = firmware.state.guests.find(request.context_page);
  if (firmware.port.state(request.context_page) != PageState::context ||
      found == firmware.state.guests.end()) {
    return request.fail(Status::invalid_guest, "the guest context page is not CONTEXT",
                        request.pages[0]);
  }
  request.context = &found->second;
  return Status::success;
}

Status check_page_state(const Firmware& firmware, const PageOperand& operand, Request& request,
                        PageView& page) {
  page = firmware.port.view(request.address(operand.offset));
  const u64 bytes = operand.output_bytes != 0 ? operand.output_bytes : page_size;
  if (operand.output_bytes == 0) {
    page.at = page.at.page();  // low bits are flags; reserved ones were refused as non-zero
  }
  const bool live = firmware.state.platform == PlatformState::init;
  if (live || !operand.when_init) {
    const Status status = check_address(firmware, request, page, bytes);
    if (status != Status::success) {
      return status;
    }
    const auto state = static_cast<unsigned>(firmware.port.state(page.at.page()));
    if ((operand.states >> state & 1) == 0) {
      return request.fail(Status::invalid_page_state, "the page is in the wrong state", page);
    }
  }
  return Status::success;
}

bool asked_for_2m(const PageOperand& operand, const Request& request) {
  switch (operand.size) {
    case SizeRule::any:
    case SizeRule::only_4k:
      return false;
    case SizeRule::flag_at_08:
    case SizeRule::launch_update:
      return (request.field(8) & 1) != 0;
    case SizeRule::flag_in_paddr:
      return (request.field(operand.offset) & 1) != 0;
    case SizeRule::swap:
      return (request.field(offsetof(SnpPageSwap, flags)) & SnpPageSwap::size_2m) != 0;
  }
  return false;
}

bool must_be_4k(const PageOperand& operand, const Request& request) {
  if (operand.size == SizeRule::swap) {
    return swap_type(request.as<SnpPageSwap>()) != SwapType::data;
  }
  const auto type = static_cast<PageType>(get_bits(request.field(8), 3, 1));
  return type == PageType::vmsa || type == PageType::secrets || type == PageType::cpuid;
}

Status check_page_size(const Firmware& firmware, const PageOperand& operand, Request& request,
                       const PageView& page) {
  if (operand.size == SizeRule::any) {
    return Status::success;
  }
  const bool large = asked_for_2m(operand, request);
  const bool has_size = operand.size != SizeRule::swap || firmware.port.rmp().covered(page.at);
  if (has_size && large != (page.size == PageSize::size_2m)) {
    return request.fail(Status::invalid_page_size, "the RMP has the page in another size", page);
  }
  if (large && (operand.size == SizeRule::launch_update || operand.size == SizeRule::swap) &&
      must_be_4k(operand, request)) {
    return request.fail(Status::invalid_page_size, "this page type is 4K only", page);
  }
  return Status::success;
}

Status check_alignment(const Firmware& firmware, const PageOperand& operand, Request& request,
                       const PageView& page) {
  const bool large = asked_for_2m(operand, request);
  if (large && !page.at.is_large_page_aligned()) {
    return request.fail(Status::invalid_address, "a 2M page that is not 2M aligned", page);
  }
  // RMP coverage may reach beyond DRAM.
  const u64 bytes = operand.output_bytes != 0 ? operand.output_bytes
                    : large                   ? large_page_size
                                              : page_size;
  if (!firmware.port.in_dram(page.at, bytes)) {
    return request.fail(operand.no_memory, "no memory at the address", page);
  }
  return Status::success;
}

Status check_guest(const CommandRow& row, Request& request) {
  if (request.context == nullptr) {
    return Status::success;
  }
  if ((row.guest_states >> static_cast<unsigned>(request.context->state) & 1) == 0) {
    return request.fail(Status::invalid_guest_state, "the guest is in the wrong state");
  }
  if ((row.guest_states & guest::not_migration_image) != 0 && request.context->imi_en) {
    return request.fail(Status::invalid_guest_state, "the guest is an initial migration image");
  }
  if (row.active && !request.context->active()) {
    return request.fail(Status::inactive, "the guest has no ASID");
  }
  return Status::success;
}

Status check_owner(const PageOperand& operand, Request& request, const PageView& page) {
  if (operand.owned && page.entry.asid() != request.context->asid) {
    return request.fail(Status::invalid_page_owner, "the page belongs to another ASID", page);
  }
  return Status::success;
}

// One step for all operands of the row, before the next step for any.
template <class Step>
Status for_each_page(const CommandRow& row, Request& request, Step step) {
  Status status = Status::success;
  for (usize at = 0; at < row.pages.size() && status == Status::success; ++at) {
    status = step(row.pages[at], request.pages[at]);
  }
  return status;
}

}  // namespace

Status common_checks(Firmware& firmware, const CommandRow& row, Request& request) {
  Status status = check_zero(row, request);
  const auto then = [&status](auto&& step) {
    if (status == Status::success) {
      status = step();
    }
  };
  then([&] { return check_platform(firmware, row, request); });
  then([&] { return check_sev_guest(firmware, row, request); });
  then([&] { return check_context(firmware, row, request); });
  then([&] {
    return for_each_page(row, request, [&](const PageOperand& operand, PageView& page) {
      return check_page_state(firmware, operand, request, page);
    });
  });
  then([&] {
    return row.pages_fit != nullptr ? row.pages_fit(firmware, request) : Status::success;
  });
  then([&] {
    return for_each_page(row, request, [&](const PageOperand& operand, PageView& page) {
      return check_page_size(firmware, operand, request, page);
    });
  });
  then([&] {
    return for_each_page(row, request, [&](const PageOperand& operand, PageView& page) {
      return check_alignment(firmware, operand, request, page);
    });
  });
  then([&] { return check_guest(row, request); });
  then([&] {
    return for_each_page(row, request, [&](const PageOperand& operand, PageView& page) {
      return check_owner(operand, request, page);
    });
  });
  return status;
}

}  // namespace softsnp::psp
