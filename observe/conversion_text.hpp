// Conversions for people to read.
#pragma once

#include <string>

#include "observe/conversion.hpp"
#include "observe/symbols.hpp"

namespace softsnp::observe {

// A line for each conversion, numbered from 1 in its direction.
std::string conversion_list(const std::vector<Conversion>& all);
// The steps of the number-th conversion in that direction, a line each with virtual time, cost in
// ticks until the next step, place and act; or a line that says how many there were.
std::string conversion_text(const std::vector<Conversion>& all, bool to_private, u64 number,
                            const Symbols& symbols);

}  // namespace softsnp::observe
