// The page protocol: the request is copied, checked, dispatched; the answer is written back before
// the next VMRUN. GHCB sheet 1.3, 1.7.
#include <cerrno>

#include "arch/svm/exit_code.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/hex.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace field = ghcb::field;
using ghcb::Event;
using ghcb::Malformed;

VcpuImpl::Exit VcpuImpl::refuse(int error, std::string why) {
  return KvmExit(InternalErrorExit{error, std::move(why)});
}

VcpuImpl::Exit VcpuImpl::handle_page_request(GuestPhysical at) {
  ghcb::Ghcb page{};
  if (at == GuestPhysical(0) || !vm_.memory.read_shared(at, page.raw)) {
    return std::nullopt;  // nothing can be said to the guest; it runs on
  }
  ghcb_.request = read_request(at, page);
  const ghcb::ValidBitmap none{};
  (void)vm_.memory
      .write_shared(at + field::valid_bitmap, {reinterpret_cast<const u8*>(&none), sizeof none})
      .ok();
  if (vm_.is_snp() && current().registered_ghcb != at) {
    return refuse(EINVAL, "VMGEXIT with a GHCB at gPA " + hex(at.value()) +
                              " that the guest has not registered");
  }
  ghcb_.open = true;
  ghcb_.response1 = 0;
  ghcb_.response2 = 0;
  if (const auto error =
          check_request(ghcb_.request, vm_.is_snp() ? GuestKind::snp : GuestKind::sev_es)) {
    respond_malformed(*error);
    return std::nullopt;
  }
  return dispatch_event();
}

void VcpuImpl::respond(u64 info1, u64 info2) {
  ghcb_.response1 = info1;
  ghcb_.response2 = info2;
}

void VcpuImpl::respond_malformed(Malformed error) {
  respond(static_cast<u64>(ghcb::Response::malformed_input), static_cast<u64>(error));
}

void VcpuImpl::write_ghcb(unsigned offset, u64 value) {
  (void)vm_.memory
      .write_shared(ghcb_.request.ghcb + offset,
                    {reinterpret_cast<const u8*>(&value), sizeof value})
      .ok();
}

// RAX to RDX go back with their bits set even where the event does not define them.
void VcpuImpl::flush_ghcb() {
  if (std::exchange(reset_hold_, ResetHold::none) == ResetHold::by_msr) {
    answer_msr(ghcb::encode(ghcb::ApResetHoldRequest{}), vmcb_.ghcb);
  }
  if (!ghcb_.open) {
    return;
  }
  ghcb_.open = false;
  ghcb::ValidBitmap valid{};
  const std::pair<unsigned, u64> values[] = {
      {field::rax, ghcb_.request.rax},        {field::rbx, ghcb_.request.rbx},
      {field::rcx, ghcb_.request.rcx},        {field::rdx, ghcb_.request.rdx},
      {field::sw_exitinfo1, ghcb_.response1}, {field::sw_exitinfo2, ghcb_.response2}};
  for (const auto& [offset, value] : values) {
    write_ghcb(offset, value);
    valid.set(offset);
  }
  write_ghcb(field::valid_bitmap, valid.low);
  write_ghcb(field::valid_bitmap + 8, valid.high);
  VmgexitEvent event;
  event.vcpu = index_;
  event.vmpl = vmpl_;
  event.code = ghcb_.request.exit_code;
  event.name = ghcb::name(ghcb_.request.event());
  event.request = ghcb_.request.exit_info1;
  event.request2 = ghcb_.request.exit_info2;
  event.rax = ghcb_.request.rax;
  event.rcx = ghcb_.request.rcx;
  event.answer = ghcb_.response1;
  event.answer2 = ghcb_.response2;
  vm_.observer.vmgexit(event);
}

VcpuImpl::Exit VcpuImpl::dispatch_event() {
  switch (ghcb_.request.event()) {
    case Event::cpuid:
      return event_cpuid();
    case Event::msr:
      return event_msr();
    case Event::ioio:
      return event_io();
    case Event::mmio_read:
    case Event::mmio_write:
      return event_mmio();
    case Event::vmmcall:
      return event_vmmcall();
    case Event::page_state_change:
      return event_page_state();
    case Event::guest_request:
    case Event::extended_guest_request:
      return event_guest_request();
    case Event::ap_jump_table:
      return event_jump_table();
    case Event::termination:
      return event_terminate();
    case Event::ap_reset_hold:
      return reset_hold(ResetHold::by_event);
    case Event::features:
      respond(0, features());
      return std::nullopt;
    case Event::nmi_complete:
      current().events.nmi_masked = false;
      return std::nullopt;
    // Accepted and nothing to do (GHCB sheet 5).
    case Event::dr7_read:
    case Event::dr7_write:
    case Event::invd:
    case Event::wbinvd:
    case Event::monitor:
    case Event::mwait:
      return std::nullopt;
    case Event::rdtscp:
      raise_in_guest(x86::Vector::ud);
      return std::nullopt;
    case Event::rdpmc:
      raise_in_guest(x86::Vector::gp);
      return std::nullopt;
    case Event::rdtsc:
      return refuse(EINVAL,
                    "the guest asked for RDTSC through its GHCB, which KVM never "
                    "intercepts and has no handler for");
    case Event::unsupported:
      return refuse(EINVAL, "the guest met a #VC it does not support, exit code " +
                                hex(ghcb_.request.exit_info1));
    case Event::ap_creation:
      return event_ap_creation();
    case Event::apic_id_list:
      return event_apic_ids();
    case Event::run_vmpl:
      return event_run_vmpl();
    case Event::hv_doorbell_page:
    case Event::hv_ipi:
    case Event::hv_timer:
    case Event::configure_injection:
    case Event::disable_alternate_injection:
    case Event::specific_eoi:
      return event_of_injection();
  }
  respond_malformed(Malformed::invalid_event);
  return std::nullopt;
}

}  // namespace softsnp::kvm
