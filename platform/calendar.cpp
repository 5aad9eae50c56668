#include "platform/calendar.hpp"

#include <fmt/format.h>

#include <charconv>
#include <ctime>

namespace softsnp::platform {

namespace {

std::tm broken_down(Seconds time) {
  const std::time_t value = time;
  std::tm parts{};
  ::gmtime_r(&value, &parts);
  return parts;
}

// Exactly so many digits, removed from the front of text.
std::optional<int> take_number(std::string_view& text, usize digits) {
  int value = 0;
  if (text.size() < digits) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc() || end != text.data() + digits || text.front() == '-') {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char letter) {
  if (text.empty() || text.front() != letter) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

// Two digits after each separator.
bool take_pairs(std::string_view& text, std::string_view separators, int& first, int& second,
                int& third) {
  int* const targets[] = {&first, &second, &third};
  usize index = 0;
  for (const char separator : separators) {
    const auto value = take(text, separator) ? take_number(text, 2) : std::nullopt;
    if (!value) {
      return false;
    }
    *targets[index++] = *value;
  }
  return true;
}

}  // namespace

std::string time_text(Seconds time) {
  const std::tm parts = broken_down(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::optional<Seconds> parse_time(std::string_view text) {
  constexpr int first_year = 1970, last_year = 9899;
  const std::string_view whole = text;
  std::tm parts{};
  int none = 0;
  const auto year = take_number(text, 4);
  if (!year || *year < first_year || *year > last_year ||
      !take_pairs(text, "--", parts.tm_mon, parts.tm_mday, none)) {
    return std::nullopt;
  }
  if (!text.empty() &&
      (!take_pairs(text, "T::", parts.tm_hour, parts.tm_min, parts.tm_sec) || text != "Z")) {
    return std::nullopt;
  }
  parts.tm_year = *year - 1900;
  parts.tm_mon -= 1;
  const Seconds time = ::timegm(&parts);
  // 31 February and the like come out as another date.
  const std::string again = time_text(time);
  return again.starts_with(whole) ? std::optional(time) : std::nullopt;
}

Seconds add_years(Seconds time, int years) {
  std::tm parts = broken_down(time);
  parts.tm_year += years;
  return ::timegm(&parts);
}

}  // namespace softsnp::platform
