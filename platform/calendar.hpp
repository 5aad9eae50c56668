// Points in time: seconds since 1970, UTC. Nothing here looks at a clock.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.hpp"

namespace softsnp::platform {

using Seconds = i64;

// 2026-01-31T12:00:00Z.
std::string time_text(Seconds time);
// That, or the date alone, which is its midnight. Years 1970 to 9899.
std::optional<Seconds> parse_time(std::string_view text);

// The same day and hour so many years later; 29 February becomes 1 March where there is none.
Seconds add_years(Seconds time, int years);

}  // namespace softsnp::platform
