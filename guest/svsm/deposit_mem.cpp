// DEPOSIT_MEM and WITHDRAW_MEM. SVSM sheet 4.5.
#include "arch/svsm/calling_area.hpp"
#include "guest/svsm/page_list.hpp"
#include "guest/svsm/permissions.hpp"
#include "guest/svsm/translations.hpp"

namespace softsnp::svsm {
namespace {

constexpr u64 list_alignment = 8;

ResultCode check(const State& state, PageEntry entry) {
  const bool known_size = entry.raw_size() <= static_cast<u64>(PageSize::size_2m);
  const u64 length = known_size ? bytes(entry.size()) : page_size;
  if (!state.is_free({entry.page(), length})) {
    return ResultCode::invalid_address;
  }
  if (!known_size || (entry.value & PageEntry::deposit_reserved_bits) != 0 ||
      !is_aligned(entry.page().value(), length)) {
    return ResultCode::invalid_parameter;
  }
  return state.deposits.full() ? ResultCode::invalid_request : ResultCode::success;
}

ResultCode take(Request& request, PageEntry entry) {
  if (const ResultCode checked = check(request.state, entry); checked != ResultCode::success) {
    return checked;
  }
  const RmpAnswer revoked = revoke(request.platform, entry.page(), entry.size());
  flush_translations(request.platform, request.state);
  if (!revoked.succeeded()) {
    (void)grant(request.platform, entry.page(), entry.size(), request.state.guest_vmpl);
    return result_of(revoked);
  }
  request.state.deposits.add({entry.page(), bytes(entry.size())});
  return ResultCode::success;
}

// The startup vCPU is vCPU 0. A guest that has taken its Calling Area away learns nothing.
void tell_what_is_available(Request& request) {
  const GuestVcpu& startup = request.state.vcpus[0];
  const u8 available = request.state.deposits.empty() ? 0 : 1;
  if (startup.exists()) {
    (void)write_value(request.platform,
                      startup.calling_area + __builtin_offsetof(CallingArea, mem_available),
                      available);
  }
}

bool give_back(Request& request, GuestPhysical page) {
  return request.platform.zero(page, page_size) &&
         grant(request.platform, page, PageSize::size_4k, request.state.guest_vmpl).succeeded();
}

}  // namespace

ResultCode deposit_mem(Request& request) {
  PageList list;
  if (const ResultCode copied = list.copy_in(request); copied != ResultCode::success) {
    return copied;
  }
  ResultCode result = ResultCode::success;
  while (!list.done() && result == ResultCode::success) {
    result = take(request, list.entry());
    if (result == ResultCode::success) {
      list.advance();
    }
  }
  tell_what_is_available(request);
  return list.finish(request, result);
}

ResultCode withdraw_mem(Request& request) {
  const GuestPhysical at(request.registers.rcx);
  if (!is_aligned(at.value(), list_alignment) ||
      page_size - at.page_offset() <= sizeof(WithdrawHeader)) {
    return ResultCode::invalid_parameter;
  }
  if (!request.state.is_free(page_at(at), &request.caller)) {
    return ResultCode::invalid_address;
  }
  const u64 room = (page_size - at.page_offset() - sizeof(WithdrawHeader)) / sizeof(u64);
  WithdrawHeader header{};
  // The header first: if it cannot be written, nothing has been given back.
  if (!write_value(request.platform, at, header)) {
    return ResultCode::invalid_address;
  }
  while (header.count < room && !request.state.deposits.empty()) {
    const GuestPhysical page = request.state.deposits.last();
    if (!give_back(request, page)) {
      break;
    }
    request.state.deposits.remove_last();
    const GuestPhysical slot = at + (sizeof header + u64{header.count} * sizeof(u64));
    (void)write_value(request.platform, slot, page.value());
    ++header.count;
  }
  tell_what_is_available(request);
  return write_value(request.platform, at, header) ? ResultCode::success
                                                   : ResultCode::invalid_address;
}

}  // namespace softsnp::svsm
