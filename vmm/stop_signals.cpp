#include "vmm/stop_signals.hpp"

#include <ctime>

namespace softsnp::vmm {

StopSignals::StopSignals() {
  ::sigemptyset(&stops_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    ::sigaddset(&stops_, number);
  }
  sigset_t blocked = stops_;
  ::sigaddset(&blocked, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
}

// A SIGPIPE that came meanwhile was answered where it was caused; it must not be delivered late.
StopSignals::~StopSignals() {
  sigset_t pipe;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  const timespec now{};
  ::sigtimedwait(&pipe, nullptr, &now);
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> StopSignals::stop_requested() {
  const timespec now{};
  const int number = ::sigtimedwait(&stops_, nullptr, &now);
  return number > 0 ? std::optional(number) : std::nullopt;
}

}  // namespace softsnp::vmm
