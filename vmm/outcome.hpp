// How a run ended: for the shell a status, for people a paragraph.
#pragma once

#include <string>

#include "base/types.hpp"

namespace softsnp::vmm {

enum class OutcomeKind : u8 {
  powered_off,
  reset,
  debug_exit,
  quit,            // the user left the console
  interrupted,     // SIGINT, SIGTERM, SIGHUP
  internal_fault,  // ours
  bad_input,
  terminated,  // the guest asked for it
  triple_fault,
  entry_refused,  // VMRUN
  no_progress,
  timed_out,
};

struct RunOutcome {
  OutcomeKind kind = OutcomeKind::powered_off;
  int status = 0;  // of the program
  std::string text;
};

// Program status of a kind; debug_exit and interrupted bring their own.
constexpr int exit_status(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::powered_off:
    case OutcomeKind::reset:
    case OutcomeKind::quit:
    case OutcomeKind::debug_exit:
    case OutcomeKind::interrupted:
      return 0;
    case OutcomeKind::internal_fault:
      return 1;
    case OutcomeKind::bad_input:
      return 2;
    case OutcomeKind::terminated:
      return 3;
    case OutcomeKind::triple_fault:
    case OutcomeKind::entry_refused:
      return 4;
    case OutcomeKind::no_progress:
    case OutcomeKind::timed_out:
      return 5;
  }
  return 1;
}

inline RunOutcome outcome(OutcomeKind kind, std::string text) {
  return {kind, exit_status(kind), std::move(text)};
}

}  // namespace softsnp::vmm
