// VMMCALL, VMGEXIT and the SVM instructions met in a guest. APM2 15.5, 15.30, 15.35.6.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/vm_load_save.hpp"

namespace softsnp::cpu {
namespace {

using svm::ExitCode;
using x86::Gpr;

ExitCode code_of(SystemOp id) {
  switch (id) {
    case SystemOp::vmrun:
      return ExitCode::vmrun;
    case SystemOp::vmload:
      return ExitCode::vmload;
    case SystemOp::vmsave:
      return ExitCode::vmsave;
    case SystemOp::stgi:
      return ExitCode::stgi;
    default:
      return ExitCode::clgi;
  }
}

}  // namespace

namespace handlers {

Step vmmcall(System& system, const Instruction&) {
  return system.intercepts(ExitCode::vmmcall) ? system.intercept(ExitCode::vmmcall)
                                              : system.raise_ud();
}

// Hardware sheet 4.1, 4.3, 4.8: outside SEV-ES guests exactly VMMCALL.
Step vmgexit(System& system, const Instruction& in) {
  return system.controls().guest && system.controls().sev_es ? system.intercept(ExitCode::vmgexit)
                                                             : vmmcall(system, in);
}

Step svm_instruction(System& system, const Instruction& in) {
  CoreState& s = system.state();
  if ((s.efer & x86::efer::svme) == 0 || !s.protected_mode() || s.v8086()) {
    return system.raise_ud();
  }
  if (s.cpl != 0) {
    return system.raise_gp();
  }
  const ExitCode code = code_of(in.id);
  if (system.intercepts(code)) {
    return system.intercept(code);
  }
  const bool moves_state = in.id == SystemOp::vmload || in.id == SystemOp::vmsave;
  // Hardware sheet 7.2: VMSAVE inside SEV-ES is unsupported; the exit code says so.
  if (system.controls().sev_es && moves_state) {
    return system.raise_vc(code);
  }
  if (in.id == SystemOp::stgi || in.id == SystemOp::clgi) {
    system.controls().gif = in.id == SystemOp::stgi;
    return Step::next;
  }
  // VMRUN cannot get here: VMRUN of this guest demanded its intercept.
  const SystemPhysical page(reg(system, Gpr::rax));
  if (!moves_state || !vm_page_legal(system, page)) {
    return system.raise_gp();
  }
  if (in.id == SystemOp::vmload) {
    vm_load(system, page);
    system.mode_changed();
  } else {
    vm_save(system, page);
  }
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu
