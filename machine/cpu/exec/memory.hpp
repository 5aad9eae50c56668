// Loads and stores of handlers: an inline TLB probe to a host pointer, else the memory port.
// Addresses are linear (segment base added). On false / null, core.fault is set.
#pragma once

#include "base/bytes.hpp"
#include "machine/cpu/exec/engine.hpp"

namespace softsnp::cpu {

// The slow forms keep the caller's registers, so that handlers need no frame on the fast path;
// results come back in Core::slow_done and Core::slow_value.
#if __has_attribute(preserve_most) && defined(__x86_64__)
#define SOFTSNP_SLOW __attribute__((noinline, cold, preserve_most))
#else
#define SOFTSNP_SLOW SOFTSNP_COLD
#endif

// Out of line: translate, cross pages.
SOFTSNP_SLOW void load_slow(Core& core, u64 linear, u32 size);
SOFTSNP_SLOW void store_slow(Core& core, u64 linear, u32 size, u64 value);
// Stores Core::slow_value.
SOFTSNP_SLOW void store_wide_slow(Core& core, u64 linear, u32 size);
// As load_slow, after proving that a store of the same bytes would succeed.
SOFTSNP_SLOW void load_for_write_slow(Core& core, u64 linear, u32 size);
SOFTSNP_COLD bool probe_write_slow(Core& core, u64 linear, u32 size);
// Out of line forms of any size: instructions with large operands.
SOFTSNP_COLD bool load_bytes(Core& core, u64 linear, void* to, u32 size);
SOFTSNP_COLD bool store_bytes(Core& core, u64 linear, const void* from, u32 size);

// Legacy modes: limit, type and presence of a segment for size bytes at offset (APM2 4.5.3, 4.7,
// 4.12). False: core.fault is #SS(0) or #GP(0).
SOFTSNP_COLD bool check_segment(Core& core, unsigned segment, u64 offset, u32 size, Access access);
// Linear address of segment:offset after check_segment; refused_linear if that failed.
SOFTSNP_COLD u64 legacy_linear(Core& core, unsigned segment, u64 offset, u32 size, Access access);
// Not canonical, so that the TLB never holds it: accesses to it fail in legacy modes with the fault
// that check_segment left.
inline constexpr u64 refused_linear = u64{1} << 63;

inline bool in_code64(const Core& core) {
  return (core.context & code_mode::size_mask) == code_mode::size64;
}

namespace detail {
// Page of the last byte: differs from the entry's tag when the access crosses into the next page.
template <class T>
SOFTSNP_INLINE u64 tag_of(u64 linear) {
  return (linear + (sizeof(T) - 1)) & ~page_offset_mask;
}
// core.tlb[tlb_index(linear)], with a shift less.
SOFTSNP_INLINE const TlbEntry& entry_for(const Core& core, u64 linear) {
  static_assert(sizeof(TlbEntry) == 32);
  const u64 offset = (linear >> (page_shift - 5)) & (u64{tlb_entries - 1} << 5);
  return *reinterpret_cast<const TlbEntry*>(reinterpret_cast<const u8*>(core.tlb) + offset);
}
SOFTSNP_INLINE u8* pointer(const TlbEntry& entry, u64 linear) {
  u8* const result = reinterpret_cast<u8*>(linear + entry.addend);
  __builtin_assume(result != nullptr);
  return result;
}
}  // namespace detail

// Host pointer for a T at linear if the TLB knows one; else null, and nothing has happened.
template <class T>
SOFTSNP_INLINE const u8* known_for_read(const Core& core, u64 linear) {
  const TlbEntry& entry = detail::entry_for(core, linear);
  return entry.read_tag == detail::tag_of<T>(linear) ? detail::pointer(entry, linear) : nullptr;
}
template <class T>
SOFTSNP_INLINE u8* known_for_write(const Core& core, u64 linear) {
  const TlbEntry& entry = detail::entry_for(core, linear);
  return entry.write_tag == detail::tag_of<T>(linear) ? detail::pointer(entry, linear) : nullptr;
}
// For reading and writing.
template <class T>
SOFTSNP_INLINE u8* known_for_change(const Core& core, u64 linear) {
  const TlbEntry& entry = detail::entry_for(core, linear);
  const u64 tag = detail::tag_of<T>(linear);
  return entry.write_tag == tag && entry.read_tag == tag ? detail::pointer(entry, linear) : nullptr;
}

template <class T>
SOFTSNP_INLINE bool load(Core& core, u64 linear, T& out) {
  static_assert(sizeof(T) <= sizeof core.slow_value);
  const TlbEntry& entry = detail::entry_for(core, linear);
  if (entry.read_tag == detail::tag_of<T>(linear)) [[likely]] {
    out = load_le<T>(detail::pointer(entry, linear));
    return true;
  }
  load_slow(core, linear, sizeof(T));
  if (!core.slow_done) {
    return false;
  }
  out = load_le<T>(core.slow_value);
  return true;
}

template <class T>
SOFTSNP_INLINE bool store(Core& core, u64 linear, T value) {
  const TlbEntry& entry = detail::entry_for(core, linear);
  if (entry.write_tag == detail::tag_of<T>(linear)) [[likely]] {
    store_le<T>(detail::pointer(entry, linear), value);
    return true;
  }
  if constexpr (sizeof(T) <= 8) {
    u64 wide = 0;
    __builtin_memcpy(&wide, &value, sizeof(T));
    store_slow(core, linear, sizeof(T), wide);
  } else {
    store_le<T>(core.slow_value, value);
    store_wide_slow(core, linear, sizeof(T));
  }
  return core.slow_done;
}

// First half of a read-modify-write: after success a store of T to linear cannot fault.
template <class T>
SOFTSNP_INLINE bool load_for_write(Core& core, u64 linear, T& out) {
  const TlbEntry& entry = detail::entry_for(core, linear);
  const u64 tag = detail::tag_of<T>(linear);
  if (entry.write_tag == tag && entry.read_tag == tag) [[likely]] {
    out = load_le<T>(detail::pointer(entry, linear));
    return true;
  }
  load_for_write_slow(core, linear, sizeof(T));
  if (!core.slow_done) {
    return false;
  }
  out = load_le<T>(core.slow_value);
  return true;
}

// Host pointer for size bytes at linear within one page (string instructions).
SOFTSNP_INLINE u8* direct(Core& core, u64 linear, u32 size, Access access) {
  const TlbEntry& entry = detail::entry_for(core, linear);
  const u64 tag = access == Access::write ? entry.write_tag : entry.read_tag;
  if (tag == (linear & ~page_offset_mask)) [[likely]] {
    return detail::pointer(entry, linear);
  }
  return core.memory->translate(core, linear, size, access);
}

// Offset of op's memory operand within its segment, moved by more bytes (BT with a register).
template <Addressing A>
SOFTSNP_INLINE u64 offset_of(const Core& core, const Op* op, u64 more = 0) {
  const u64 base = core.state.gpr[op->base] + static_cast<u64>(op->disp) + more;
  if constexpr (A == Addressing::base64) {
    return base;
  }
  const u64 sum = base + (core.state.gpr[op->index] << op->scale);
  if constexpr (A != Addressing::general) {
    return sum;
  }
  return op->address_bits == 64 ? sum : sum & ((u64{1} << op->address_bits) - 1);
}

// Linear address of op's memory operand for an access of size bytes.
template <Addressing A>
SOFTSNP_INLINE u64 effective(Core& core, const Op* op, u32 size = 1, Access access = Access::read,
                             u64 more = 0) {
  const u64 offset = offset_of<A>(core, op, more);
  if constexpr (A == Addressing::segment64) {
    return offset + core.seg_base[op->seg];
  } else if constexpr (A != Addressing::general) {
    return offset;
  } else {
    if (op->address_bits == 64 || in_code64(core)) [[likely]] {
      return offset + core.seg_base[op->seg];
    }
    return legacy_linear(core, op->seg, offset, size, access);
  }
}

}  // namespace softsnp::cpu
