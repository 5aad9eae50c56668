// Host time by part, for --stats: a host port that measures what lies behind it. The rest of a run
// is the hypervisor's and the VMM's.
#pragma once

#include <chrono>

#include "machine/port/wrapped_port.hpp"

namespace softsnp::observe {

struct PortTimes {
  std::chrono::duration<double> processor{};  // in VMRUN
  std::chrono::duration<double> firmware{};   // in the AMD-SP's mailbox
};

class TimedPort final : public machine::WrappedPort {
 public:
  // Both must outlive the port. times is added to.
  TimedPort(machine::HostPort& inner, PortTimes& times) : WrappedPort(inner), times_(times) {}

  Result<void, machine::HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                             u64 max_instructions) override {
    const Stretch stretch(times_.processor);
    return inner_.vmrun(core, vmcb, max_instructions);
  }
  u16 psp_command(u32 command, SystemPhysical buffer) override {
    const Stretch stretch(times_.firmware);
    return inner_.psp_command(command, buffer);
  }

 private:
  using Clock = std::chrono::steady_clock;
  class Stretch {
   public:
    explicit Stretch(std::chrono::duration<double>& sum) : sum_(sum) {}
    Stretch(const Stretch&) = delete;
    Stretch& operator=(const Stretch&) = delete;
    ~Stretch() { sum_ += Clock::now() - begin_; }

   private:
    std::chrono::duration<double>& sum_;
    Clock::time_point begin_ = Clock::now();
  };

  PortTimes& times_;
};

}  // namespace softsnp::observe
