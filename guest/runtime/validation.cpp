#include "guest/runtime/validation.hpp"

#include "arch/snp/rmp.hpp"

namespace softsnp::guest {
namespace {

Step judge(const RmpOutcome& outcome, usize pages) {
  if (outcome.result != static_cast<u32>(snp::RmpResult::success)) {
    return Failure{Interrupted{Cause::pvalidate_failed, 0, pages}};
  }
  if (outcome.unchanged) {
    return Failure{Interrupted{Cause::double_validation, 0, pages}};
  }
  return {};
}

}  // namespace

Step DirectValidation::set_small_pages(const ghcb::PageStateEntry& entry, bool validated) {
  for (usize page = 0; page < entry.page_count(); ++page) {
    const GuestVirtual at = map_.at(entry.gpa() + page * page_size);
    const Step done = judge(processor_.pvalidate(at, PageSize::size_4k, validated), page);
    if (!done) {
      return done;
    }
  }
  return {};
}

Step DirectValidation::set(PageBatch::Entries entries, bool validated) {
  for (usize i = 0; i < entries.size(); ++i) {
    const ghcb::PageStateEntry& entry = entries[i];
    const RmpOutcome outcome =
        entry.size() == PageSize::size_2m
            ? processor_.pvalidate(map_.at(entry.gpa()), entry.size(), validated)
            : RmpOutcome{static_cast<u32>(snp::RmpResult::fail_sizemismatch), false};
    const bool split = outcome.result == static_cast<u32>(snp::RmpResult::fail_sizemismatch);
    const Step done = split ? set_small_pages(entry, validated) : judge(outcome, 0);
    if (!done) {
      return Failure{Interrupted{done.error().cause, i, done.error().pages}};
    }
  }
  return {};
}

}  // namespace softsnp::guest
