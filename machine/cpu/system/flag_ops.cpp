// PUSHF, POPF, CLI, STI, CLAC, STAC. APM2 3.1.6, 8.10; APM3.
#include "machine/cpu/system/handlers.hpp"

namespace softsnp::cpu {
namespace {

namespace f = x86::rflags;

u64 iopl(const CoreState& s) {
  return get_bits(s.system_flags, 13, 12);
}

// Without VME (CPUID does not have it) v8086 mode needs IOPL 3.
bool v8086_denied(const CoreState& s) {
  return s.v8086() && iopl(s) != 3;
}

}  // namespace

namespace handlers {

Step pushf(System& system, const Instruction& in) {
  const CoreState& s = system.state();
  if (system.intercepts(svm::ExitCode::pushf)) {
    return system.intercept(svm::ExitCode::pushf);
  }
  if (v8086_denied(s)) {
    return system.raise_gp();
  }
  StackView stack = current_stack(system);
  if (!push(system, stack, in.info.operand_bits, s.rflags() & ~(f::rf | f::vm))) {
    return Step::fault;
  }
  commit(system, stack);
  return Step::next;
}

Step popf(System& system, const Instruction& in) {
  CoreState& s = system.state();
  if (system.intercepts(svm::ExitCode::popf)) {
    return system.intercept(svm::ExitCode::popf);
  }
  if (v8086_denied(s)) {
    return system.raise_gp();
  }
  StackView stack = current_stack(system);
  u64 image = 0;
  if (!pop(system, stack, in.info.operand_bits, image)) {
    return Step::fault;
  }
  u64 writable = f::status | f::tf | f::df | f::nt;
  if (in.info.operand_bits != 16) {
    writable |= f::ac | f::id;
  }
  if (s.cpl <= iopl(s)) {
    writable |= f::if_;
  }
  if (s.cpl == 0) {
    writable |= f::iopl;
  }
  s.set_rflags((s.rflags() & ~writable & ~f::rf) | (image & writable));
  commit(system, stack);
  system.mode_changed();
  return Step::next;
}

Step cli(System& system, const Instruction&) {
  CoreState& s = system.state();
  if (s.protected_mode() && s.cpl > iopl(s)) {
    return system.raise_gp();
  }
  s.system_flags &= ~f::if_;
  return Step::next;
}

Step sti(System& system, const Instruction&) {
  CoreState& s = system.state();
  if (s.protected_mode() && s.cpl > iopl(s)) {
    return system.raise_gp();
  }
  s.interrupt_shadow = (s.system_flags & f::if_) == 0;
  s.system_flags |= f::if_;
  return Step::next;
}

Step clac_stac(System& system, const Instruction& in) {
  CoreState& s = system.state();
  if (s.cpl != 0 || s.v8086()) {
    return system.raise_ud();
  }
  s.system_flags = in.id == SystemOp::stac ? s.system_flags | f::ac : s.system_flags & ~f::ac;
  system.mode_changed();
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu
