// What the small samples share: entry, exceptions, the verdict. Each defines run().
#pragma once

#include "guest/runtime/small_guest.hpp"

namespace softsnp::guest {

void run(SmallGuest& guest);

// Prints "ok WHAT", or "WRONG WHAT" and ends the guest: tests look for both.
void check(SmallGuest& guest, const char* what, bool good);

// The exceptions that run() has met since it last asked (the handler skips to the recovery point).
struct Seen {
  u64 vector = 0, error = 0, address = 0;
  bool any = false;
};
// Runs act(context); an exception in it ends it and is returned.
Seen attempt(void (*act)(void*), void* context);

// Restricted injection: what #HV does, on any vCPU. Until then it is an exception like others.
void on_hv(void (*act)(Frame& frame));

}  // namespace softsnp::guest
