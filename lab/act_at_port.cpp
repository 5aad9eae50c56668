#include "lab/act_at_port.hpp"

#include "lab/guest_signal.hpp"

namespace softsnp::lab {

Result<void, machine::HostException> ActAtPort::vmrun(unsigned core, SystemPhysical vmcb,
                                                      u64 max_instructions) {
  auto result = inner_.vmrun(core, vmcb, max_instructions);
  if (result && !acted_) {
    Scene scene{inner_, vmcb, read_vmcb(inner_, vmcb)};
    if (port_write(inner_, scene.vmcb, trigger_)) {
      acted_ = true;
      act_(scene);
    }
  }
  return result;
}

}  // namespace softsnp::lab
