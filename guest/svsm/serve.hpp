// What one vCPU does each time the host runs VMPL0. SVSM sheet 2.4. Freestanding.
#pragma once

#include "guest/svsm/request.hpp"

namespace softsnp::svsm {

struct Services {
  Platform& platform;
  State& state;
  Reporter& reporter;
  Vtpm* vtpm;
};

enum class Turn : u8 {
  run_guest,  // RUN_VMPL
  idle,       // no VMSA for this vCPU: wait until CREATE_VCPU names it
};

// The caller holds the lock over state: calls of all vCPUs are served one after another.
Turn serve(const Services& services, usize vcpu);

}  // namespace softsnp::svsm
