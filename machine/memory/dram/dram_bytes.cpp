// Byte ranges over the bus: cold accesses of host software, firmware and devices.
#include <algorithm>
#include <array>
#include <cstring>

#include "machine/memory/dram/dram.hpp"
#include "machine/memory/dram/invariant.hpp"
#include "machine/memory/dram/zero.hpp"

namespace softsnp::memory {
namespace {

constexpr u64 block_size = 16;
using FrameCopy = std::array<u8, page_size>;

// Part of a range that lies in one frame, from `at` on.
u64 chunk_bytes(SystemPhysical at, u64 left) {
  return std::min(left, page_size - at.page_offset());
}

struct BlockRange {
  SystemPhysical first;  // of the first block
  u64 skip;              // bytes of it before the range
  u64 bytes;             // whole blocks
};
BlockRange blocks_around(SystemPhysical at, u64 bytes) {
  const SystemPhysical first(align_down(at.value(), block_size));
  const u64 skip = at - first;
  return {first, skip, align_up(skip + bytes, block_size)};
}

}  // namespace

SystemPhysical Dram::routed(SystemPhysical page) const {
  if (bus_layer_ == nullptr) {
    return page;
  }
  const SystemPhysical target = bus_layer_->route(page).page();
  if (!contains(target, page_size)) {
    broken_invariant("the bus layer routed beyond DRAM, to sPA", target.value());
  }
  return target;
}

// Whole blocks of one frame as seen under key at the address asked for: held form -> raw -> key.
void Dram::load_blocks(SystemPhysical at, KeyId key, u8* to, u64 bytes) {
  const SystemPhysical held_at = routed(at.page()) + at.page_offset();
  const KeyId held = form(held_at);
  if (is_written(held_at.page_number())) {
    std::memcpy(to, base_ + held_at.value(), bytes);
  } else {
    std::memset(to, 0, bytes);  // without a page fault of the host's
  }
  if (held == key && held_at == at) {
    return;
  }
  if (held != KeyId::none) {
    keys_.encrypt_blocks(held, held_at, to, bytes / block_size);
  }
  if (key != KeyId::none) {
    keys_.decrypt_blocks(key, at, to, bytes / block_size);
  }
}

// To the frame as it is held. Zeros to a fresh frame commit nothing.
void Dram::put(SystemPhysical at, const u8* from, u64 bytes) {
  u8& marks = marks_[at.page_number()];
  if ((marks & written_mark) != 0 || !all_zero(from, bytes)) {
    marks |= written_mark;
    std::memcpy(base_ + at.value(), from, bytes);
  }
  log_contents(at);
}

// The way back. Destroys the bytes at from.
void Dram::store_blocks(SystemPhysical at, KeyId key, u8* from, u64 bytes) {
  const SystemPhysical held_at = routed(at.page()) + at.page_offset();
  const KeyId held = form(held_at);
  if (held != key || held_at != at) {
    if (key != KeyId::none) {
      keys_.encrypt_blocks(key, at, from, bytes / block_size);
    }
    if (held != KeyId::none) {
      keys_.decrypt_blocks(held, held_at, from, bytes / block_size);
    }
  }
  put(held_at, from, bytes);
}

void Dram::read_chunk(SystemPhysical at, KeyId key, std::span<u8> to) {
  if (bus_layer_ == nullptr && form(at) == key && is_written(at.page_number())) {
    std::memcpy(to.data(), base_ + at.value(), to.size());
    return;
  }
  FrameCopy copy;
  const BlockRange blocks = blocks_around(at, to.size());
  load_blocks(blocks.first, key, copy.data(), blocks.bytes);
  std::memcpy(to.data(), copy.data() + blocks.skip, to.size());
}

void Dram::write_chunk(SystemPhysical at, KeyId key, std::span<const u8> from) {
  const bool direct = routed(at.page()) == at.page();
  if (direct && from.size() == page_size) {
    relabel(at, key);
  }
  if (direct && form(at) == key) {
    put(at, from.data(), from.size());
    return;
  }
  FrameCopy copy;
  const BlockRange blocks = blocks_around(at, from.size());
  load_blocks(blocks.first, key, copy.data(), blocks.bytes);
  std::memcpy(copy.data() + blocks.skip, from.data(), from.size());
  store_blocks(blocks.first, key, copy.data(), blocks.bytes);
}

void Dram::read(SystemPhysical at, KeyId key, std::span<u8> to) {
  check_range(at, to.size());
  if (bus_layer_ != nullptr) {
    bus_layer_->before_read(at, key, to.size());
  }
  while (!to.empty()) {
    const u64 bytes = chunk_bytes(at, to.size());
    read_chunk(at, key, to.first(bytes));
    to = to.subspan(bytes);
    at = at + bytes;
  }
}

void Dram::write(SystemPhysical at, KeyId key, std::span<const u8> from) {
  check_range(at, from.size());
  const SystemPhysical start = at;
  const u64 size = from.size();
  while (!from.empty()) {
    const u64 bytes = chunk_bytes(at, from.size());
    write_chunk(at, key, from.first(bytes));
    from = from.subspan(bytes);
    at = at + bytes;
  }
  if (bus_layer_ != nullptr) {
    bus_layer_->after_write(start, key, size);
  }
}

}  // namespace softsnp::memory
