#include "guest/runtime/svsm_validation.hpp"

#include "base/bytes.hpp"

namespace softsnp::guest {
namespace {

using svsm::PageEntry;
using svsm::PageListHeader;
using svsm::ResultCode;

Cause cause_of(ResultCode code) {
  return code == svsm::fail_no_change ? Cause::double_validation : Cause::pvalidate_failed;
}

}  // namespace

void SvsmValidation::put(usize index, GuestPhysical page, PageSize size, bool validated) {
  store_le(client_.area().buffer + sizeof(PageListHeader) + index * sizeof(PageEntry),
           PageEntry::make(page, size, validated));
}

Checked<SvsmValidation::Progress> SvsmValidation::send(usize count) {
  store_le(client_.area().buffer, PageListHeader{static_cast<u16>(count), 0, 0});
  svsm::Registers in;
  in.rcx = client_.area_address().value() + __builtin_offsetof(svsm::CallingArea, buffer);
  const auto answer = client_.call(svsm::CoreCall::pvalidate, in);
  if (!answer) {
    return fail(answer.error());
  }
  const auto header = load_le<PageListHeader>(client_.area().buffer);
  if (header.next > count || (answer->ok() && header.next != count)) {
    return fail(Cause::svsm_call_failed);
  }
  return Progress{header.next, answer->code};
}

Step SvsmValidation::set_small_pages(const ghcb::PageStateEntry& entry, bool validated) {
  for (usize at = 0; at < entry.page_count();) {
    const usize left = entry.page_count() - at;
    const usize count =
        left < svsm::max_entries_in_calling_area ? left : svsm::max_entries_in_calling_area;
    for (usize i = 0; i < count; ++i) {
      put(i, entry.gpa() + (at + i) * page_size, PageSize::size_4k, validated);
    }
    const auto progress = send(count);
    if (!progress) {
      return Failure{Interrupted{progress.error(), 0, at}};
    }
    at += progress->done;
    if (progress->code != ResultCode::success) {
      return Failure{Interrupted{cause_of(progress->code), 0, at}};
    }
  }
  return {};
}

Step SvsmValidation::set(PageBatch::Entries entries, bool validated) {
  static_assert(ghcb::max_page_state_entries <= svsm::max_entries_in_calling_area);
  for (usize at = 0; at < entries.size();) {
    const PageBatch::Entries rest = entries.from(at);
    for (usize i = 0; i < rest.size(); ++i) {
      put(i, rest[i].gpa(), rest[i].size(), validated);
    }
    const auto progress = send(rest.size());
    if (!progress) {
      return Failure{Interrupted{progress.error(), at}};
    }
    at += progress->done;
    if (progress->code == ResultCode::success) {
      continue;
    }
    const bool split = progress->code == svsm::fail_size_mismatch && at < entries.size() &&
                       entries[at].size() == PageSize::size_2m;
    const Step small = split ? set_small_pages(entries[at], validated)
                             : Step(Failure{Interrupted{cause_of(progress->code)}});
    if (!small) {
      return Failure{Interrupted{small.error().cause, at, small.error().pages}};
    }
    ++at;
  }
  return {};
}

}  // namespace softsnp::guest
