// Fixed-width names used throughout. Freestanding.
#pragma once

#include <cstddef>
#include <cstdint>

namespace softsnp {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using usize = std::size_t;

inline constexpr u64 page_size = 4096;
inline constexpr u64 large_page_size = u64{2} << 20;
inline constexpr unsigned page_shift = 12;
inline constexpr u64 page_offset_mask = page_size - 1;

}  // namespace softsnp
