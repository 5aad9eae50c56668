#include "machine/cpu/exec/memory.hpp"

#include <cstring>

namespace softsnp::cpu {
namespace {

// In legacy modes a linear address wraps at 4 GiB.
u64 wrap(const Core& core, u64 linear) {
  return in_code64(core) ? linear : static_cast<u32>(linear);
}

bool refused(const Core& core, u64 linear) {
  return linear == refused_linear && !in_code64(core);
}

u32 bytes_in_page(u64 linear, u32 size) {
  const u64 left = page_size - (linear & page_offset_mask);
  return left < size ? static_cast<u32>(left) : size;
}

bool load_any(Core& core, u64 linear, void* to, u32 size) {
  u32 done = 0;
  while (done < size) {
    const u64 at = wrap(core, linear + done);
    const u32 part = bytes_in_page(at, size - done);
    const u8* from = core.memory->reach(core, at, part, Access::read);
    if (from == nullptr) {
      return false;
    }
    std::memcpy(static_cast<u8*>(to) + done, from, part);
    done += part;
  }
  return true;
}

bool probe_write(Core& core, u64 linear, u32 size) {
  u32 done = 0;
  while (done < size) {
    const u64 at = wrap(core, linear + done);
    const u32 part = bytes_in_page(at, size - done);
    if (core.memory->translate(core, at, part, Access::write) == nullptr) {
      return false;
    }
    done += part;
  }
  return true;
}

bool store_any(Core& core, u64 linear, const void* from, u32 size) {
  // All pages are proven writable before any changes; then each pointer is asked for anew, since
  // a translation may have changed the form of another page's frame.
  if (bytes_in_page(linear, size) < size && !probe_write(core, linear, size)) {
    return false;
  }
  u32 done = 0;
  while (done < size) {
    const u64 at = wrap(core, linear + done);
    const u32 part = bytes_in_page(at, size - done);
    u8* to = core.memory->reach(core, at, part, Access::write);
    if (to == nullptr) {
      return false;
    }
    std::memcpy(to, static_cast<const u8*>(from) + done, part);
    done += part;
  }
  return true;
}

}  // namespace

bool load_bytes(Core& core, u64 linear, void* to, u32 size) {
  return !refused(core, linear) && load_any(core, linear, to, size);
}

bool store_bytes(Core& core, u64 linear, const void* from, u32 size) {
  return !refused(core, linear) && store_any(core, linear, from, size);
}

bool probe_write_slow(Core& core, u64 linear, u32 size) {
  return !refused(core, linear) && probe_write(core, linear, size);
}

void load_slow(Core& core, u64 linear, u32 size) {
  core.slow_done = load_bytes(core, linear, core.slow_value, size);
}

void store_slow(Core& core, u64 linear, u32 size, u64 value) {
  core.slow_done = store_bytes(core, linear, &value, size);
}

void store_wide_slow(Core& core, u64 linear, u32 size) {
  core.slow_done = store_bytes(core, linear, core.slow_value, size);
}

void load_for_write_slow(Core& core, u64 linear, u32 size) {
  core.slow_done =
      probe_write_slow(core, linear, size) && load_any(core, linear, core.slow_value, size);
}

}  // namespace softsnp::cpu
