#include "guest/runtime/memory_conversion.hpp"

namespace softsnp::guest {
namespace {

using ghcb::PageOperation;

// What a step interrupted inside a 2 MiB entry has done of it, as 4 KiB pages.
PageRange begun_pages(PageBatch::Entries entries, const Interrupted& reached) {
  if (reached.entries == entries.size()) {
    return {GuestPhysical(0), 0};
  }
  return {entries[reached.entries].gpa(), reached.pages};
}

// Of the first pages of range too many to be one batch of small ones: 512 at most, so three.
template <class F>
bool for_small_pages(PageRange range, F&& act) {
  while (range.pages != 0) {
    const PageBatch batch(range, PageSizes::small_only);
    if (!act(batch.all())) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool MemoryConversion::set_first(Entries entries, const Interrupted& reached,
                                 PageOperation operation) {
  return path_.change(entries.part(0, reached.entries), operation).ok() &&
         for_small_pages(begun_pages(entries, reached),
                         [&](Entries pages) { return path_.change(pages, operation).ok(); });
}

bool MemoryConversion::validate_first(Entries entries, const Interrupted& reached, bool validated) {
  return validation_.set(entries.part(0, reached.entries), validated).ok() &&
         for_small_pages(begun_pages(entries, reached),
                         [&](Entries pages) { return validation_.set(pages, validated).ok(); });
}

// Rescind, then tell the hypervisor.
Checked<void> MemoryConversion::share(Entries entries) {
  const Step rescinded = validation_.set(entries, false);
  if (!rescinded) {
    const bool undone = validate_first(entries, rescinded.error(), true);
    return fail(undone ? rescinded.error().cause : Cause::rollback_failed);
  }
  const Step changed = path_.change(entries, PageOperation::make_shared);
  if (!changed) {
    const Interrupted whole{changed.error().cause, entries.size(), 0};
    const bool undone = set_first(entries, changed.error(), PageOperation::make_private) &&
                        validate_first(entries, whole, true);
    return fail(undone ? changed.error().cause : Cause::rollback_failed);
  }
  return {};
}

// Tell the hypervisor, then validate.
Checked<void> MemoryConversion::unshare(Entries entries) {
  const Step changed = path_.change(entries, PageOperation::make_private);
  if (!changed) {
    const bool undone = set_first(entries, changed.error(), PageOperation::make_shared);
    return fail(undone ? changed.error().cause : Cause::rollback_failed);
  }
  const Step validated = validation_.set(entries, true);
  if (!validated) {
    const Interrupted whole{validated.error().cause, entries.size(), 0};
    const bool undone = validate_first(entries, validated.error(), false) &&
                        set_first(entries, whole, PageOperation::make_shared);
    return fail(undone ? validated.error().cause : Cause::rollback_failed);
  }
  return {};
}

// The part of the range that is done when a step fails; all of it otherwise.
Checked<PageRange> MemoryConversion::for_each_batch(PageRange range, BatchStep step, Cause& cause) {
  PageRange rest = range;
  while (rest.pages != 0) {
    const PageRange before = rest;
    const PageBatch batch(rest, sizes_);
    const auto done = (this->*step)(batch.all());
    if (!done) {
      cause = done.error();
      return PageRange{range.first, range.pages - before.pages};
    }
  }
  return range;
}

Checked<void> MemoryConversion::make_shared(PageRange range) {
  Cause cause{};
  const auto done = for_each_batch(range, &MemoryConversion::share, cause);
  if (done->pages == range.pages) {
    const auto mapped = map_.set_encrypted(range, false);
    if (mapped) {
      return {};
    }
    cause = mapped.error();
  }
  if (cause == Cause::rollback_failed) {
    return fail(cause);
  }
  Cause second{};
  const auto undone = for_each_batch(*done, &MemoryConversion::unshare, second);
  return fail(undone->pages == done->pages ? cause : Cause::rollback_failed);
}

// The mapping is private before the RMP says so; nobody may touch it yet.
Checked<void> MemoryConversion::make_private(PageRange range) {
  const auto mapped = map_.set_encrypted(range, true);
  if (!mapped) {
    return mapped;
  }
  Cause cause{};
  const auto done = for_each_batch(range, &MemoryConversion::unshare, cause);
  if (done->pages == range.pages) {
    return {};
  }
  if (cause == Cause::rollback_failed) {
    return fail(cause);
  }
  Cause second{};
  const auto undone = for_each_batch(*done, &MemoryConversion::share, second);
  const bool good = undone->pages == done->pages && map_.set_encrypted(range, false).ok();
  return fail(good ? cause : Cause::rollback_failed);
}

}  // namespace softsnp::guest
