// Signals that end a run, received as data: blocked, and asked for between slices. The terminal is
// then restored by the usual destructors and nothing runs in a handler.
#pragma once

#include <csignal>
#include <optional>

namespace softsnp::vmm {

class StopSource {
 public:
  virtual ~StopSource() = default;
  // Number of a signal that asked to stop.
  virtual std::optional<int> stop_requested() = 0;
};

// SIGINT, SIGTERM, SIGHUP, SIGQUIT. SIGPIPE is blocked too: write() reports the same.
class StopSignals final : public StopSource {
 public:
  StopSignals();
  ~StopSignals() override;
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  std::optional<int> stop_requested() override;

 private:
  sigset_t stops_;
  sigset_t before_;
};

}  // namespace softsnp::vmm
