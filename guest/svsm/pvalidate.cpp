// PVALIDATE. SVSM sheet 4.2.
#include "guest/svsm/page_list.hpp"
#include "guest/svsm/permissions.hpp"
#include "guest/svsm/translations.hpp"

namespace softsnp::svsm {
namespace {

// What one call may zero before it says INCOMPLETE: interrupts of the guest wait meanwhile.
constexpr u64 most_bytes_at_once = u64{32} << 20;

ResultCode check(const State& state, PageEntry entry) {
  const bool known_size = entry.raw_size() <= static_cast<u64>(PageSize::size_2m);
  const u64 length = known_size ? bytes(entry.size()) : page_size;
  if (!state.is_free({entry.page(), length})) {
    return ResultCode::invalid_address;
  }
  if (!known_size || (entry.value & PageEntry::reserved_bits) != 0 ||
      !is_aligned(entry.page().value(), length)) {
    return ResultCode::invalid_parameter;
  }
  return ResultCode::success;
}

ResultCode change(Platform& platform, PageEntry entry) {
  const RmpAnswer answer = platform.pvalidate(entry.page(), entry.size(), entry.validate());
  if (const ResultCode result = result_of(answer); result != ResultCode::success) {
    return result;
  }
  return answer.carry && !entry.ignore_cf() ? fail_no_change : ResultCode::success;
}

// A page that is not validated has nothing to revoke; PVALIDATE will say so.
ResultCode rescind(Platform& platform, PageEntry entry) {
  const RmpAnswer revoked = revoke(platform, entry.page(), entry.size());
  if (revoked.outcome != RmpAnswer::Outcome::not_validated && !revoked.succeeded()) {
    return result_of(revoked);
  }
  return change(platform, entry);
}

// Zeros before the grant: otherwise the host could put a page of ours under this gPA.
ResultCode validate(Request& request, PageEntry entry) {
  const ResultCode result = change(request.platform, entry);
  if (result != ResultCode::success) {
    return result;
  }
  if (!request.platform.zero(entry.page(), bytes(entry.size()))) {
    return ResultCode::invalid_address;
  }
  return result_of(grant(request.platform, entry.page(), entry.size(), request.state.guest_vmpl));
}

ResultCode perform(Request& request, PageEntry entry) {
  if (const ResultCode checked = check(request.state, entry); checked != ResultCode::success) {
    return checked;
  }
  return entry.validate() ? validate(request, entry) : rescind(request.platform, entry);
}

// Guests try 2 MiB first and expect the mismatch.
void note(FailedEntry& failed, PageEntry entry, ResultCode result) {
  if (result != fail_size_mismatch) {
    failed = {entry, result, failed.count + 1};
  }
}

ResultCode perform_all(Request& request, PageList& list) {
  u64 spent = 0;
  for (; !list.done(); list.advance()) {
    if (spent >= most_bytes_at_once) {
      return ResultCode::incomplete;
    }
    const PageEntry entry = list.entry();
    if (const ResultCode result = perform(request, entry); result != ResultCode::success) {
      note(request.state.failed, entry, result);
      return result;
    }
    spent += entry.validate() ? bytes(entry.size()) : 0;
  }
  return ResultCode::success;
}

}  // namespace

ResultCode pvalidate(Request& request) {
  PageList list;
  if (const ResultCode copied = list.copy_in(request); copied != ResultCode::success) {
    return copied;
  }
  const ResultCode result = perform_all(request, list);
  // Nothing was told yet: one flush is enough for the whole list.
  flush_translations(request.platform, request.state);
  return list.finish(request, result);
}

}  // namespace softsnp::svsm
