// What the sample can do on request: each case one act whose outcome the machine decides.
#pragma once

#include "base/types.hpp"

namespace softsnp::guest {

struct Case {
  const char* name;
  void (*run)();
};

struct CaseList {
  const Case* first;
  const Case* last;
  const Case* begin() const { return first; }
  const Case* end() const { return last; }
};

// What the cases for bench/ repeat, and how often.
namespace rounds {
inline constexpr unsigned page_state = 2'000, page_state_2m = 200, vmgexit = 100'000, vc = 50'000,
                          vc_without_exit = 50'000, random_conversions = 1'000, patrol = 20;
}

CaseList cases();
// guest_doorbell.cpp
void case_doorbell();
// guest_alternate.cpp
void case_alternate();

// The tour without a case: conversions both ways, and everything that must not work.
void demonstrate(bool snp);
[[noreturn]] void power_off();

}  // namespace softsnp::guest
