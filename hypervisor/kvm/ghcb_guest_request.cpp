// Messages between the guest and the AMD-SP: passed on, never read. GHCB sheet 3.6; Linux
// arch/x86/kvm/svm/sev.c (snp_handle_guest_req and its kin). What can make the guest repeat a
// message comes before the firmware sees it: its sequence number must stay unused.
#include <cerrno>

#include "arch/psp/guest_message.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {
constexpr usize certificate_entry_bytes = 24;

u8 message_type(std::span<const u8> message) {
  return message[offsetof(psp::GuestMessageHeader, message_type)];
}
}  // namespace

void VcpuImpl::respond_vmm_error(ghcb::GuestRequestError error) {
  respond(0, ghcb::exit_info2(error));
}

// The message is copied once: what the guest changes meanwhile does not count.
VcpuImpl::Exit VcpuImpl::event_guest_request() {
  if (!vm_.memory.read_shared(GuestPhysical(ghcb_.request.exit_info1), ghcb_.message)) {
    return refuse(EIO, "the page of a guest request cannot be read");
  }
  const bool extended = ghcb_.request.event() == ghcb::Event::extended_guest_request;
  const bool wants_certificates =
      extended && message_type(ghcb_.message) == psp::number(psp::MessageType::report_request);
  if (wants_certificates &&
      (!ghcb_.request.valid.has(ghcb::field::rax) || !ghcb_.request.valid.has(ghcb::field::rbx) ||
       (ghcb_.request.rax & page_offset_mask) != 0)) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  if (!vm_.request_limiter.admits(vm_.port().tsc(), vm_.port().tsc_frequency_hz())) {
    respond_vmm_error(ghcb::GuestRequestError::busy);
    return std::nullopt;
  }
  return wants_certificates ? ask_for_certificates() : pass_request_on();
}

// A VMM that has none to give leaves KVM to write the empty table: its terminator.
VcpuImpl::Exit VcpuImpl::ask_for_certificates() {
  if (vm_.certificate_exits) {
    pending_ = CertificatesWanted{};
    return KvmExit(CertificatesExit{GuestPhysical(ghcb_.request.rax), ghcb_.request.rbx});
  }
  const std::array<u8, certificate_entry_bytes> empty_table{};
  if (ghcb_.request.rbx != 0 &&
      !vm_.memory.write_shared(GuestPhysical(ghcb_.request.rax), empty_table)) {
    return refuse(EIO, "the buffer for certificates cannot be written");
  }
  return pass_request_on();
}

VcpuImpl::Exit VcpuImpl::continue_with_certificates() {
  const CertificatesAnswer answer =
      std::exchange(answer_.certificates, std::nullopt).value_or(CertificatesAnswer{EINVAL, 0});
  switch (answer.ret) {
    case 0:
      return pass_request_on();
    case ENOSPC:
      ghcb_.request.rbx = answer.npages;
      respond_vmm_error(ghcb::GuestRequestError::invalid_length);
      return std::nullopt;
    case EAGAIN:
      respond_vmm_error(ghcb::GuestRequestError::busy);
      return std::nullopt;
    case EIO:
      respond_vmm_error(ghcb::GuestRequestError::generic);
      return std::nullopt;
    default:
      return refuse(EINVAL, "the VMM did not say what became of the certificates");
  }
}

VcpuImpl::Exit VcpuImpl::pass_request_on() {
  vm_.request_limiter.count(vm_.port().tsc(), vm_.port().tsc_frequency_hz());
  std::array<u8, page_size> response;
  const auto status = vm_.snp.guest_request(ghcb_.message, response);
  if (!status) {
    return refuse(status.error().number, status.error().what);
  }
  if (!vm_.memory.write_shared(GuestPhysical(ghcb_.request.exit_info2), response)) {
    return refuse(EIO, "the page for a guest request's response cannot be written");
  }
  respond(0, *status);
  return std::nullopt;
}

}  // namespace softsnp::kvm
