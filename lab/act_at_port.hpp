// A hostile host that makes one move when its SNP guest writes to a chosen I/O port: the point in
// the guest's life that a test can know.
#pragma once

#include <functional>

#include "lab/nested_lookup.hpp"
#include "machine/port/wrapped_port.hpp"

namespace softsnp::lab {

class ActAtPort final : public machine::WrappedPort {
 public:
  // What the act gets: the honest port and the VMCB of the guest that has just exited.
  struct Scene {
    machine::HostPort& port;
    SystemPhysical vmcb_page;
    svm::Vmcb vmcb;
  };
  using Act = std::function<void(Scene&)>;

  ActAtPort(machine::HostPort& inner, u16 trigger, Act act)
      : WrappedPort(inner), trigger_(trigger), act_(std::move(act)) {}

  Result<void, machine::HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                             u64 max_instructions) override;
  bool acted() const { return acted_; }

 private:
  u16 trigger_;
  Act act_;
  bool acted_ = false;
};

}  // namespace softsnp::lab
