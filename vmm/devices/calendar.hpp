// Days and the proleptic Gregorian calendar. Algorithm: H. Hinnant, "chrono-Compatible Low-Level
// Date Algorithms" (public domain).
#pragma once

#include "base/types.hpp"

namespace softsnp::devices {

struct Date {
  i64 year = 1970;
  unsigned month = 1;
  unsigned day = 1;
};

// Days since 1970-01-01. month in 1..12; any day.
constexpr i64 days_from_date(const Date& date) {
  const i64 year = date.year - (date.month <= 2 ? 1 : 0);
  const i64 era = (year >= 0 ? year : year - 399) / 400;
  const i64 year_of_era = year - era * 400;
  const i64 month_from_march = (date.month + 9) % 12;
  const i64 day_of_year = (153 * month_from_march + 2) / 5 + i64{date.day} - 1;
  const i64 day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

constexpr Date date_from_days(i64 days) {
  const i64 shifted = days + 719468;
  const i64 era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const i64 day_of_era = shifted - era * 146097;
  const i64 year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const i64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const i64 month_from_march = (5 * day_of_year + 2) / 153;
  const auto day = static_cast<unsigned>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
  const auto month = static_cast<unsigned>((month_from_march + 2) % 12 + 1);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

// 1 = Sunday .. 7 = Saturday, as the MC146818 counts.
constexpr unsigned day_of_week(i64 days) {
  return static_cast<unsigned>(((days + 4) % 7 + 7) % 7) + 1;
}

}  // namespace softsnp::devices
