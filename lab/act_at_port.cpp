#include "lab/act_at_port.hpp"

#include "arch/ghcb/ghcb.hpp"
#include "arch/svm/exit_code.hpp"

namespace softsnp::lab {

// VMGEXIT with an IOIO request for the trigger port in the GHCB.
bool ActAtPort::triggered(const svm::Vmcb& vmcb) {
  if (vmcb.exitcode != svm::number(svm::ExitCode::vmgexit) || (vmcb.ghcb & page_offset_mask) != 0) {
    return false;
  }
  const auto leaf = find_leaf(inner_, SystemPhysical(vmcb.ncr3), GuestPhysical(vmcb.ghcb));
  ghcb::Ghcb page{};
  if (!leaf || !inner_.load(leaf->page, page.raw)) {
    return false;
  }
  return page.sw_exitcode == svm::number(svm::ExitCode::ioio) &&
         (page.sw_exitinfo1 >> svm::ioio::port_shift) == trigger_;
}

Result<void, machine::HostException> ActAtPort::vmrun(unsigned core, SystemPhysical vmcb,
                                                      u64 max_instructions) {
  auto result = inner_.vmrun(core, vmcb, max_instructions);
  if (result && !acted_) {
    Scene scene{inner_, vmcb, read_vmcb(inner_, vmcb)};
    if (triggered(scene.vmcb)) {
      acted_ = true;
      act_(scene);
    }
  }
  return result;
}

}  // namespace softsnp::lab
