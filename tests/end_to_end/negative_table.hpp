// The negative cases of the product: what must be refused, and what was seen when it was tried.
#pragma once

#include <span>
#include <string>

#include "tests/end_to_end/guest_run.hpp"

namespace softsnp::end_to_end {

struct Seen {
  std::string text;  // one line
  bool ok = false;
};

struct Negative {
  const char* name;
  const char* expected;
  Seen (*run)();
};

// A guest that does what it must not, under an honest host.
std::span<const Negative> guest_misdeeds();
// An honest guest under a host that does what it must not.
std::span<const Negative> host_misdeeds();

// The first line of the output with that text, without leading blanks; "(nothing)" if none.
std::string line_with(const std::string& output, const std::string& text);
// How the run ended, in one line: status and the first line of the outcome.
std::string ending(const GuestRun& run);

}  // namespace softsnp::end_to_end
