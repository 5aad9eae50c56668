// When and where the guest is, for whoever writes it down.
#pragma once

#include "arch/address.hpp"

namespace softsnp::observe {

struct Moment {
  u64 time = 0;  // virtual time: host TSC
  u32 vcpu = 0;
  Vmpl vmpl = Vmpl::vmpl0;
  u64 rip = 0;
};

// Implemented by the composition root, which knows the machine.
class Viewpoint {
 public:
  virtual ~Viewpoint() = default;
  virtual Moment moment() const = 0;
};

}  // namespace softsnp::observe
