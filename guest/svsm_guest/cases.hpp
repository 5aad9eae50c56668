// Single acts of a guest under an SVSM, for tests and benchmarks.
#pragma once

#include "base/view.hpp"
#include "guest/runtime/small_guest.hpp"

namespace softsnp::guest {

struct SvsmCase {
  const char* name;
  void (*run)(SmallGuest& guest);
};

namespace svsm_rounds {
inline constexpr unsigned calls = 10'000, validations = 2'000;
}

View<const SvsmCase> svsm_cases();

}  // namespace softsnp::guest
