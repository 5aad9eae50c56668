#include "machine/memory/events.hpp"

namespace softsnp::memory {

const char* name(RmpAgent agent) {
  switch (agent) {
    case RmpAgent::rmpupdate:
      return "RMPUPDATE";
    case RmpAgent::psmash:
      return "PSMASH";
    case RmpAgent::pvalidate:
      return "PVALIDATE";
    case RmpAgent::rmpadjust:
      return "RMPADJUST";
    case RmpAgent::firmware:
      return "firmware";
  }
  return "unknown agent";
}

}  // namespace softsnp::memory
