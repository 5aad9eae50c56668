// The end with a name: cause=N on the command line is a Cause of the runtime.
#include "guest/samples/small/sample.hpp"

namespace softsnp::guest {

void run(SmallGuest& guest) {
  u64 cause = 0;
  for (const char* at = guest.boot().option("cause"); at != nullptr && *at >= '0' && *at <= '9';
       ++at) {
    cause = cause * 10 + static_cast<u64>(*at - '0');
  }
  print("ending for: ", name(static_cast<Cause>(cause)), "\n");
  guest.end(static_cast<Cause>(cause));
}

}  // namespace softsnp::guest
