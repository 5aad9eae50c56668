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

// d stands for a digit, anything else for itself.
bool has_form(std::string_view text, std::string_view form) {
  for (usize i = 0; i < text.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (form[i] == 'd' ? !is_digit : text[i] != form[i]) {
      return false;
    }
  }
  return true;
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

std::optional<i64> parse_time(std::string_view text) {
  constexpr std::string_view form = "dddd-dd-ddTdd:dd:ddZ";
  constexpr usize date_only = 10;
  if (const auto seconds = parse_integer(text, 10); seconds && *seconds <= 0xFFFFFFFFFF) {
    return static_cast<i64>(*seconds);
  }
  if ((text.size() != form.size() && text.size() != date_only) || !has_form(text, form)) {
    return std::nullopt;
  }
  const auto part = [text](usize at, usize length) {
    return at < text.size() ? static_cast<int>(*parse_integer(text.substr(at, length), 10)) : 0;
  };
  const std::chrono::year_month_day date(std::chrono::year(part(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(part(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(part(8, 2))));
  const int hour = part(11, 2), minute = part(14, 2), second = part(17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(days).count() + hour * 3600 +
         minute * 60 + second;
}

}  // namespace softsnp::cli
