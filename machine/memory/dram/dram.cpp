#include "machine/memory/dram/dram.hpp"

#include <algorithm>
#include <cstring>

#include "machine/memory/dram/invariant.hpp"
#include "machine/memory/dram/zero.hpp"
#include "machine/memory/events.hpp"

namespace softsnp::memory {
namespace {

u64 checked_size(u64 bytes) {
  if (bytes == 0 || bytes > Dram::max_bytes || !is_aligned(bytes, large_page_size)) {
    broken_invariant("DRAM must be a multiple of 2 MiB below its maximum; bytes", bytes);
  }
  return bytes;
}

}  // namespace

Dram::Dram(u64 bytes)
    : size_(checked_size(bytes)),
      frames_(size_),
      form_storage_(size_ / page_size * sizeof(KeyId)),
      mark_storage_(size_ / page_size),
      base_(frames_.data()),
      forms_(reinterpret_cast<KeyId*>(form_storage_.data())),
      marks_(mark_storage_.data()) {
  static_assert(KeyId{} == KeyId::none, "fresh forms are raw");
  keys_.set_listener(this);
}

Dram::~Dram() = default;

void Dram::out_of_range(SystemPhysical at, u64 bytes) {
  static_cast<void>(bytes);
  broken_invariant("access beyond the end of DRAM at sPA", at.value());
}

void Dram::check_range(SystemPhysical at, u64 bytes) const {
  if (!contains(at, bytes) && bytes != 0) [[unlikely]] {
    out_of_range(at, bytes);
  }
}

void Dram::convert(SystemPhysical page, KeyId key) {
  const u64 number = page.page_number();
  u8* bytes = base_ + page.page().value();
  const KeyId held = forms_[number];
  marks_[number] |= written_mark;
  if (held != KeyId::none) {
    keys_.encrypt_frame(held, page.page(), bytes);
  }
  if (key != KeyId::none) {
    keys_.decrypt_frame(key, page.page(), bytes);
  }
  relabel(page, key);
  ++conversions_;
  if (observer_ != nullptr) {
    observer_->form_converted(page.page());
  }
}

// Whether some core has to hear of the new form: whoever holds a host pointer for the old one sees
// wrong bytes from here on.
bool Dram::set_form(u64 number, KeyId key) {
  if (forms_[number] == key) {
    return false;
  }
  forms_[number] = key;
  const bool known = (marks_[number] & (watched_mark | pointer_mark)) != 0;
  marks_[number] &= static_cast<u8>(~(pointer_mark | glance_mask));
  return known;
}

void Dram::relabel(SystemPhysical page, KeyId key) {
  if (set_form(checked_number(page), key)) {
    log_.append(page.page(), Change::form);
  }
}

// The 512 frames in one entry of the log.
void Dram::relabel_large(SystemPhysical page, KeyId key) {
  bool any = false;
  for (u64 number = page.page_number(); number < page.page_number() + 512; ++number) {
    any = set_form(number, key) || any;
    log_contents(SystemPhysical(number << page_shift));
  }
  if (any) {
    log_.append(page, Change::form, PageSize::size_2m);
  }
}

void Dram::log_contents(SystemPhysical page) {
  if (watched(page)) {
    log_.append(page.page(), Change::contents);
  }
}

bool Dram::key_will_change(KeyId id, KeyId retired) {
  const u64 count = size_ / page_size;
  bool any = false;
  for (KeyId* at = forms_; (at = std::find(at, forms_ + count, id)) != forms_ + count; ++at) {
    *at = retired;
    any = true;
  }
  if (any) {
    log_.append_everything();
  }
  return any;
}

void Dram::key_must_go(KeyId id) {
  const u64 count = size_ / page_size;
  for (KeyId* at = forms_; (at = std::find(at, forms_ + count, id)) != forms_ + count; ++at) {
    convert(SystemPhysical(static_cast<u64>(at - forms_) << page_shift), KeyId::none);
  }
}

void Dram::reencrypt_in_place(SystemPhysical page, KeyId from, KeyId to) {
  frame(page, from);
  relabel(page, to);
  log_contents(page);
}

void Dram::zero_frame(SystemPhysical page, KeyId key) {
  relabel(page, key);
  u8* bytes = base_ + page.page().value();
  if (is_written(page.page_number()) && !all_zero(bytes, page_size)) {
    std::memset(bytes, 0, page_size);
  }
  log_contents(page);
}

void Dram::release_frames(SystemPhysical page, u64 count) {
  zero_frames(page, count, KeyId::none);
}

void Dram::zero_frames(SystemPhysical page, u64 count, KeyId key) {
  const SystemPhysical first = page.page();
  check_range(first, count * page_size);
  for (u64 i = 0; i < count;) {
    const SystemPhysical at = first + i * page_size;
    const bool whole = at.large_page() == at && count - i >= large_page_size / page_size;
    if (whole) {
      relabel_large(at, key);
    } else {
      relabel(at, key);
      log_contents(at);
    }
    i += whole ? large_page_size / page_size : 1;
  }
  if (count != 0) {
    frames_.discard(first.value(), count * page_size);
    for (u64 number = first.page_number(); number < first.page_number() + count; ++number) {
      if ((marks_[number] & pointer_mark) == 0) {  // else a core may write it, unseen from here
        marks_[number] &= static_cast<u8>(~(written_mark | first_write_mask));
      }
    }
  }
}

void Dram::set_bus_layer(BusLayer* layer) {
  bus_layer_ = layer;
  log_.append_everything();
}

}  // namespace softsnp::memory
