// Where the guest is and was: the place of each event, and the registers as they were at the triple
// fault, which the hypervisor of an SNP guest cannot see.
#pragma once

#include <string>

#include "machine/machine.hpp"
#include "observe/listener.hpp"
#include "observe/moment.hpp"

namespace softsnp::cli {

class LastMoments final : public observe::Listener, public observe::Viewpoint {
 public:
  // Before that there is no time and no place.
  void attach(machine::Machine& machine) { machine_ = &machine; }

  observe::Moment moment() const override;
  // Empty unless the guest shut down.
  const std::string& registers() const { return registers_; }

  void vmexit(svm::ExitCode code, u64 info1, u64 info2, u64 rip) override;
  void triple_fault(const cpu::FaultChain& chain) override;

 private:
  machine::Machine* machine_ = nullptr;
  u64 last_rip_ = 0;  // after #VMEXIT the core holds the host's
  Vmpl last_vmpl_ = Vmpl::vmpl0;
  std::string registers_;
};

}  // namespace softsnp::cli
