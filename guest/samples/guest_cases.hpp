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

CaseList cases();
// The tour without a case: conversions both ways, and everything that must not work.
void demonstrate(bool snp);
[[noreturn]] void power_off();

}  // namespace softsnp::guest
