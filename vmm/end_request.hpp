// The guest's wish to end the run, as a device heard it. The first one counts.
#pragma once

#include <optional>

#include "vmm/devices/ports.hpp"

namespace softsnp::vmm {

struct EndRequest {
  enum class Kind : u8 { power_off, reset, debug_exit };
  Kind kind = Kind::power_off;
  u32 value = 0;  // debug_exit
};

class EndRequests final : public devices::ControlPort {
 public:
  void power_off() override { note({EndRequest::Kind::power_off, 0}); }
  void reset() override { note({EndRequest::Kind::reset, 0}); }
  void debug_exit(u32 value) override { note({EndRequest::Kind::debug_exit, value}); }
  const std::optional<EndRequest>& first() const { return first_; }

 private:
  void note(const EndRequest& request) {
    if (!first_) {
      first_ = request;
    }
  }
  std::optional<EndRequest> first_;
};

}  // namespace softsnp::vmm
