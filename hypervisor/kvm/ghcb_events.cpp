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
  state.xcr0 = ghcb_.request.xcr0 == 0 ? 1 : ghcb_.request.xcr0;
  const machine::CpuidResult r = cpuid_.lookup(static_cast<u32>(ghcb_.request.rax),
                                               static_cast<u32>(ghcb_.request.rcx), state);
  ghcb_.request.rax = r.eax;
  ghcb_.request.rbx = r.ebx;
  ghcb_.request.rcx = r.ecx;
  ghcb_.request.rdx = r.edx;
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_msr() {
  const u32 number = static_cast<u32>(ghcb_.request.rcx);
  bool done = true;
  if (ghcb_.request.exit_info1 != 0) {
    done = write_msr(number, (ghcb_.request.rdx << 32) | (ghcb_.request.rax & 0xFFFFFFFF));
  } else if (const std::optional<u64> value = read_msr(number)) {
    ghcb_.request.rax = *value & 0xFFFFFFFF;
    ghcb_.request.rdx = *value >> 32;
  } else {
    done = false;
  }
  if (!done) {
    respond(static_cast<u64>(ghcb::Response::raise_exception), ghcb::raise_gp);
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_vmmcall() {
  if (ghcb_.request.cpl == 0) {
    Exit exit =
        hypercall(ghcb_.request.rax, {ghcb_.request.rbx, ghcb_.request.rcx, ghcb_.request.rdx});
    if (exit) {
      pending_ = GhcbHypercall{};
      return exit;
    }
  }
  if (ghcb_.request.cpl != 0) {
    ghcb_.request.rax = static_cast<u64>(-kvm_eperm);
  } else if (ghcb_.request.rax == hypercall_vapic_poll_irq) {
    ghcb_.request.rax = 0;
  } else {
    ghcb_.request.rax = static_cast<u64>(-kvm_enosys);
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::event_jump_table() {
  switch (ghcb_.request.exit_info1) {
    case 0:
      vm_.ap_jump_table = ghcb_.request.exit_info2;
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
  const ghcb::TerminationReason reason = ghcb::termination_of_event(ghcb_.request.exit_info1);
  const u64 extra = ghcb_.request.exit_info2;
  flush_ghcb();
  return KvmExit(TerminationExit{reason.set, reason.code, extra});
}

}  // namespace softsnp::kvm
