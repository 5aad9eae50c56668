#include "guest/runtime/vc_handler.hpp"

#include "arch/svm/exit_code.hpp"
#include "guest/runtime/frame_registers.hpp"
#include "guest/runtime/vc_event.hpp"

namespace softsnp::guest {
namespace {

using decode::Operation;
using svm::ExitCode;

// The instruction must be one that has this exit code: a hypervisor that raises #VC at a place of
// its choice must not get another instruction emulated.
bool fits(ExitCode code, const decode::Instruction& i) {
  switch (code) {
    case ExitCode::ioio:
      return i.operation == Operation::in || i.operation == Operation::out ||
             i.operation == Operation::ins || i.operation == Operation::outs;
    case ExitCode::cpuid:
      return i.operation == Operation::cpuid;
    case ExitCode::msr:
      return i.operation == Operation::rdmsr || i.operation == Operation::wrmsr;
    case ExitCode::rdtsc:
      return i.operation == Operation::rdtsc;
    case ExitCode::rdtscp:
      return i.operation == Operation::rdtscp;
    case ExitCode::rdpmc:
      return i.operation == Operation::rdpmc;
    case ExitCode::vmmcall:
      return i.operation == Operation::vmmcall;
    case ExitCode::wbinvd:
      return i.operation == Operation::wbinvd;
    case ExitCode::invd:
      return i.operation == Operation::invd;
    case ExitCode::monitor:
      return i.operation == Operation::monitor;
    case ExitCode::mwait:
    case ExitCode::mwait_armed:
      return i.operation == Operation::mwait;
    case ExitCode::dr7_read:
      return i.operation == Operation::read_dr && i.debug_register == 7;
    case ExitCode::dr7_write:
      return i.operation == Operation::write_dr && i.debug_register == 7;
    case ExitCode::npf:
      return i.operation >= Operation::load && i.operation <= Operation::stos;
    default:
      return false;
  }
}

Handled<void> emulate(const VcEvent& event) {
  switch (event.instruction.operation) {
    case Operation::in:
    case Operation::out:
      return emulate_port(event);
    case Operation::ins:
    case Operation::outs:
      return emulate_string_port(event);
    case Operation::cpuid:
      return emulate_cpuid(event);
    case Operation::rdmsr:
    case Operation::wrmsr:
      return emulate_msr(event);
    case Operation::rdtsc:
    case Operation::rdtscp:
    case Operation::rdpmc:
      return emulate_counter(event);
    case Operation::vmmcall:
      return emulate_vmmcall(event);
    case Operation::wbinvd:
      return emulate_cache_flush(event);
    case Operation::read_dr:
    case Operation::write_dr:
      return emulate_debug_register(event);
    case Operation::monitor:
    case Operation::mwait:
      // Waiting is a hint; the hypervisor need not know.
      event.finish();
      return {};
    case Operation::invd:
      // Would throw away what the guest has written. Linux does not forward it either.
      return trouble(Cause::vc_unsupported);
    default:
      return emulate_mmio(event);
  }
}

Handled<void> emulate_at_rip(VcState& state, Frame& frame, ExitCode code) {
  u8 bytes[decode::max_instruction_bytes];
  const auto got =
      fetch_instruction(state.memory, GuestVirtual(frame.rip), bytes, from_user(frame));
  if (!got) {
    return Failure{got.error()};
  }
  const auto instruction = decode::decode({bytes, *got});
  if (!instruction) {
    return trouble(code == ExitCode::npf ? Cause::vc_unsupported : Cause::vc_mismatch);
  }
  if (!fits(code, *instruction)) {
    return trouble(Cause::vc_mismatch);
  }
  return emulate({state, frame, *instruction});
}

Handled<void> accept_page(VcState& state, const Frame& frame) {
  const GuestVirtual at(state.ghcb.processor().read_cr2());
  const auto to = state.memory.translate(at, Access::read, from_user(frame));
  if (!to) {
    return Failure{to.error()};
  }
  if (state.acceptance == nullptr || !to->encrypted) {
    return trouble(Cause::page_not_validated);
  }
  const auto accepted = state.acceptance->accept(to->at);
  return accepted ? Handled<void>() : Handled<void>(trouble(accepted.error()));
}

Handled<void> handle(VcState& state, Frame& frame) {
  switch (const auto code = static_cast<ExitCode>(frame.error); code) {
    case ExitCode::exception_db:
      return trouble(Exception{static_cast<u8>(x86::Vector::db)});
    case ExitCode::exception_ac:
      return trouble(Exception{static_cast<u8>(x86::Vector::ac), true});
    case ExitCode::page_not_validated:
      return accept_page(state, frame);
    default:
      return emulate_at_rip(state, frame, code);
  }
}

}  // namespace

Handled<void> handle_vc(VcState& state, Frame& frame) {
  auto done = handle(state, frame);
  if (!done && done.error().kind == Trouble::Kind::fatal && from_user(frame)) {
    return trouble(general_protection());
  }
  return done;
}

}  // namespace softsnp::guest
