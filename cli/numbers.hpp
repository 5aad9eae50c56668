// Numbers as people type them. Each returns nothing for what is not entirely such a number.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "base/types.hpp"

namespace softsnp::cli {

// 512M, 4G, 262144K, 1T; without a letter MiB, as QEMU reads -m. Zero and overflow are refused.
std::optional<u64> parse_size(std::string_view text);
// With or without 0x.
std::optional<u64> parse_hex(std::string_view text);
// Decimal, or hexadecimal with 0x.
std::optional<u64> parse_number(std::string_view text);
// Seconds above zero, decimals allowed, at most a year.
std::optional<std::chrono::milliseconds> parse_seconds(std::string_view text);
// Seconds since 1970: a number of them, or a date or time of UTC as 2026-01-31 or
// 2026-01-31T12:00:00Z.
std::optional<i64> parse_time(std::string_view text);

}  // namespace softsnp::cli
