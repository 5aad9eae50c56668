// Instruction and housekeeping events of the page protocol. GHCB sheet 3.1, 3.4.
#include "arch/ghcb/termination.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {
constexpr i64 kvm_enosys = 1000, kvm_eperm = 1;
constexpr u64 hypercall_vapic_poll_irq = 1;
}  // namespace

VcpuImpl::Exit VcpuImpl::event_cpuid() {
  ++vm_.counters.cpuid;
  CpuidState state = cpuid_state();
  // The guest's XCR0 is in its VMSA; it sends it along where it matters.
  state.xcr0 = request_.xcr0 == 0 ? 1 : request_.xcr0;
  const machine::CpuidResult r =
      cpuid_.lookup(static_cast<u32>(request_.rax), static_cast<u32>(request_.rcx), state);
  request_.rax = r.eax;
  request_.rbx = r.ebx;
  request_.rcx = r.ecx;
  request_.rdx = r.edx;
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_msr() {
  const u32 number = static_cast<u32>(request_.rcx);
  bool done = true;
  if (request_.exit_info1 != 0) {
    done = write_msr(number, (request_.rdx << 32) | (request_.rax & 0xFFFFFFFF));
  } else if (const std::optional<u64> value = read_msr(number)) {
    request_.rax = *value & 0xFFFFFFFF;
    request_.rdx = *value >> 32;
  } else {
    done = false;
  }
  if (!done) {
    respond(static_cast<u64>(ghcb::Response::raise_exception), ghcb::raise_gp);
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_vmmcall() {
  if (request_.cpl == 0) {
    Exit exit = hypercall(request_.rax, {request_.rbx, request_.rcx, request_.rdx});
    if (exit) {
      pending_ = GhcbHypercall{};
      return exit;
    }
  }
  if (request_.cpl != 0) {
    request_.rax = static_cast<u64>(-kvm_eperm);
  } else if (request_.rax == hypercall_vapic_poll_irq) {
    request_.rax = 0;
  } else {
    request_.rax = static_cast<u64>(-kvm_enosys);
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_jump_table() {
  switch (request_.exit_info1) {
    case 0:
      vm_.ap_jump_table = request_.exit_info2;
      break;
    case 1:
      respond(0, vm_.ap_jump_table);
      break;
    default:
      respond_malformed(ghcb::Malformed::invalid_input);
      break;
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_terminate() {
  const ghcb::TerminationReason reason = ghcb::termination_of_event(request_.exit_info1);
  const u64 extra = request_.exit_info2;
  flush_ghcb();
  return KvmExit(TerminationExit{reason.set, reason.code, extra});
}

}  // namespace softsnp::kvm
