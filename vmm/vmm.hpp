// The userspace VMM: devices, and the loop that answers a vCPU's exits until the run ends.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "hypervisor/kvm/kvm.hpp"
#include "image/launch_plan.hpp"
#include "vmm/board.hpp"
#include "vmm/config.hpp"
#include "vmm/console.hpp"
#include "vmm/exit_handler.hpp"
#include "vmm/host_time.hpp"
#include "vmm/launch.hpp"
#include "vmm/outcome.hpp"
#include "vmm/serial_feed.hpp"
#include "vmm/stop_signals.hpp"
#include "vmm/vm_ports.hpp"

namespace softsnp::vmm {

class Vmm {
 public:
  // ram: the plan's. The VM is launched already and nothing of the plan is needed any more.
  Vmm(LaunchedVm launched, std::vector<image::RamRange> ram, const Config& config);
  Vmm(const Vmm&) = delete;
  Vmm& operator=(const Vmm&) = delete;

  // Runs until the guest or somebody else ends it. Output goes to the console after each slice.
  RunOutcome run(Console& console, StopSource& stop);

  kvm::Vm& vm() { return *launched_.vm; }
  u64 virtual_time() const { return clock_.now(); }

 private:
  using End = std::optional<RunOutcome>;
  class SerialOutput final : public devices::OutputSink {
   public:
    void put(u8 byte) override { bytes.push_back(byte); }
    std::vector<u8> bytes;
  };

  End run_slice();
  End between_slices(Console& console, StopSource& stop);
  End take_input(Console& console);
  End stuck_without_time();
  RunOutcome time_out() const;
  void flush(Console& console);
  void perform_due_events();
  void offer_extint();
  bool nothing_can_wake() const;
  std::string describe_vcpus() const;

  Config config_;
  LaunchedVm launched_;
  kvm::Vcpu& boot_vcpu_;  // has the 8259's line at its LINT0
  VmClock clock_;
  VmMessages messages_;
  SerialOutput output_;
  Board board_;
  ExitHandler handler_;
  SerialFeed feed_;
  Watchdog watchdog_;
  Pacing pacing_;
  bool extint_wanted_ = false;
  bool idle_noted_ = false;
  u64 last_exit_time_ = 0;
  u32 exits_at_that_time_ = 0;
};

}  // namespace softsnp::vmm
