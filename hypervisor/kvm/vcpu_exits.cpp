// Exit codes: automatic exits of SEV-ES guests and, for plain guests, all intercepts.
#include <algorithm>
#include <cerrno>

#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/hex.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
VcpuImpl::Exit VcpuImpl::handle_exit() {
  const auto code = static_cast<svm::ExitCode>(vmcb_.exitcode);
  if (vmcb_.exitcode < vm_.counters.exits.size()) {
    ++vm_.counters.exits[vmcb_.exitcode];
  }
  if (code == svm::ExitCode::npf) {
    return handle_npf();
  }
  last_fault_ = {};
  switch (code) {
    case svm::ExitCode::intr:
    case svm::ExitCode::nmi:
    case svm::ExitCode::smi:
      return std::nullopt;
    case svm::ExitCode::pause:
      handle_pause();
      return std::nullopt;
    case svm::ExitCode::vintr:
      request_interrupt_window(false);
      return std::nullopt;
    case svm::ExitCode::hlt:
    case svm::ExitCode::idle_hlt:
      return handle_hlt();
    case svm::ExitCode::shutdown:
      return KvmExit(ShutdownExit{});
    case svm::ExitCode::efer_write_trap:
      current().trapped.efer = vmcb_.exitinfo1;
      return std::nullopt;
    case svm::ExitCode::cr0_write_trap:
      current().trapped.cr0 = vmcb_.exitinfo1;
      return std::nullopt;
    case svm::ExitCode::cr4_write_trap:
      current().trapped.cr4 = vmcb_.exitinfo1;
      return std::nullopt;
    case svm::ExitCode::cr8_write_trap:
      apic().set_tpr(static_cast<u8>(vmcb_.exitinfo1 << 4));
      return std::nullopt;
    case svm::ExitCode::vmgexit:
      if (vm_.hides_registers()) {
        return handle_vmgexit();
      }
      return unexpected_exit();
    case svm::ExitCode::busy:
      return handle_busy();
    case svm::ExitCode::invalid:
    case svm::ExitCode::idle_required:
    case svm::ExitCode::invalid_pmc:
      return fail_entry();
    default:
      return vm_.hides_registers() ? unexpected_exit() : handle_plain_exit(code);
  }
}

VcpuImpl::Exit VcpuImpl::handle_plain_exit(svm::ExitCode code) {
  switch (code) {
    case svm::ExitCode::cpuid:
      plain_cpuid();
      return std::nullopt;
    case svm::ExitCode::msr:
      plain_msr();
      return std::nullopt;
    case svm::ExitCode::ioio:
      return plain_io();
    case svm::ExitCode::vmmcall:
      return plain_vmmcall();
    case svm::ExitCode::xsetbv:
      plain_xsetbv();
      return std::nullopt;
    case svm::ExitCode::invd:
    case svm::ExitCode::wbinvd:
    case svm::ExitCode::monitor:
    case svm::ExitCode::mwait:
      skip_instruction();
      return std::nullopt;
    case svm::ExitCode::rdpmc:
      queue_exception(x86::Vector::gp, 0);
      return std::nullopt;
    case svm::ExitCode::iret:
      current().events.iret_at = vmcb_.rip;
      vmcb_.intercept_misc1 &= ~svm::misc1::iret;
      return std::nullopt;
    case svm::ExitCode::vmrun:
    case svm::ExitCode::vmload:
    case svm::ExitCode::vmsave:
    case svm::ExitCode::stgi:
    case svm::ExitCode::clgi:
    case svm::ExitCode::skinit:
    case svm::ExitCode::invlpga:
    case svm::ExitCode::rsm:
    case svm::ExitCode::rdpru:
      queue_exception(x86::Vector::ud);
      return std::nullopt;
    default:
      return unexpected_exit();
  }
}

VcpuImpl::Exit VcpuImpl::handle_hlt() {
  ++vm_.counters.halts;
  // An SEV-ES guest's RIP was advanced by hardware (hardware sheet 7.1).
  if (!vm_.hides_registers()) {
    skip_instruction();
  }
  mp_state_ = MpState::halted;
  return std::nullopt;
}

// A vCPU that spins lets others run, for one of them has what it waits for (KVM:
// pause_interception(), grow_ple_window(), kvm_vcpu_on_spin()).
void VcpuImpl::handle_pause() {
  if (!vm_.hides_registers()) {
    skip_instruction();
  }
  vmcb_.pause_filter_count =
      static_cast<u16>(std::min<u32>(u32{vmcb_.pause_filter_count} * 2, pause_filter_count_max));
  turn_end_ = TurnEnd::spins;
}

std::string VcpuImpl::where_vmsa() const {
  const auto& gpa = current().vmsa_gpa;
  return ", VMPL" + std::to_string(number(vmpl_)) +
         (gpa ? ", by AP creation from gPA " + hex(gpa->value()) : ", measured at launch");
}

VcpuImpl::Exit VcpuImpl::fail_entry() {
  FailEntryExit exit;
  exit.exit_code = vmcb_.exitcode;
  switch (static_cast<svm::ExitCode>(vmcb_.exitcode)) {
    case svm::ExitCode::busy:
      exit.why = "VMRUN refused: the VMSA is marked BUSY";
      break;
    case svm::ExitCode::idle_required:
      exit.why = "VMRUN refused: the sibling thread is not idle";
      break;
    default:
      exit.why =
          vm_.hides_registers()
              ? "VMRUN refused (VMEXIT_INVALID): the VMSA page is not the guest's, is immutable or "
                "not marked as VMSA in the RMP, EFER.SVME is clear in it, or the control area is "
                "not consistent; VMSA at sPA " +
                    hex(vmcb_.vmsa_pointer) + ", ASID " + std::to_string(vmcb_.asid) + where_vmsa()
              : "VMRUN refused (VMEXIT_INVALID): the guest state is not consistent";
      break;
  }
  return KvmExit(std::move(exit));
}

VcpuImpl::Exit VcpuImpl::fail_entry_without_vmsa() const {
  const std::string who = "VMRUN refused: vCPU " + std::to_string(index_) + " has no VMSA at VMPL" +
                          std::to_string(number(vmpl_));
  const auto& gpa = current().vmsa_gpa;
  return KvmExit(FailEntryExit{~u64{0}, gpa ? who + ": AP creation named gPA " + hex(gpa->value()) +
                                                  ", which is no page of a guest_memfd"
                                            : who});
}

VcpuImpl::Exit VcpuImpl::unexpected_exit() {
  return KvmExit(InternalErrorExit{EINVAL, "unexpected #VMEXIT, exit code " + hex(vmcb_.exitcode) +
                                               ", EXITINFO1 " + hex(vmcb_.exitinfo1) +
                                               ", EXITINFO2 " + hex(vmcb_.exitinfo2)});
}

}  // namespace softsnp::kvm
