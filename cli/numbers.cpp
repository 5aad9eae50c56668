#include "cli/numbers.hpp"

#include <charconv>
#include <cmath>

namespace softsnp::cli {
namespace {

std::optional<u64> parse_integer(std::string_view text, int base) {
  u64 value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc() || stopped != end) {
    return std::nullopt;
  }
  return value;
}

bool has_hex_prefix(std::string_view text) {
  return text.starts_with("0x") || text.starts_with("0X");
}

// Shift of a unit's letter; -1 for none.
int unit_shift(char letter) {
  switch (letter) {
    case 'k':
    case 'K':
      return 10;
    case 'm':
    case 'M':
      return 20;
    case 'g':
    case 'G':
      return 30;
    case 't':
    case 'T':
      return 40;
    default:
      return -1;
  }
}

}  // namespace

std::optional<u64> parse_size(std::string_view text) {
  constexpr int mebibytes = 20;
  int shift = text.empty() ? -1 : unit_shift(text.back());
  if (shift >= 0) {
    text.remove_suffix(1);
  } else {
    shift = mebibytes;
  }
  const auto value = parse_integer(text, 10);
  if (!value || *value == 0 || *value > (~u64{0} >> shift)) {
    return std::nullopt;
  }
  return *value << shift;
}

std::optional<u64> parse_hex(std::string_view text) {
  if (has_hex_prefix(text)) {
    text.remove_prefix(2);
  }
  return parse_integer(text, 16);
}

std::optional<u64> parse_number(std::string_view text) {
  return has_hex_prefix(text) ? parse_hex(text) : parse_integer(text, 10);
}

std::optional<std::chrono::milliseconds> parse_seconds(std::string_view text) {
  constexpr double year = 365.0 * 86400;
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  const bool read = !text.empty() && error == std::errc() && stopped == end;
  if (!read || !std::isfinite(value) || value < 0.001 || value > year) {
    return std::nullopt;
  }
  return std::chrono::milliseconds(static_cast<i64>(value * 1000));
}

}  // namespace softsnp::cli
