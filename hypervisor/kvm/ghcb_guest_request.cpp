// Messages between the guest and the AMD-SP: passed on, never read. GHCB sheet 3.6.
#include <cerrno>

#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {
constexpr usize message_type_offset = 0x34;
constexpr u8 message_type_report_request = 5;
constexpr usize certificate_entry_bytes = 24;
}  // namespace

// An extended request for a report wants certificates: there are none, so the table is its
// terminator. False: malformed.
bool VcpuImpl::prepare_certificates(std::span<const u8> request) {
  if (request_.event() != ghcb::Event::extended_guest_request ||
      request[message_type_offset] != message_type_report_request) {
    return true;
  }
  if (!request_.valid.has(ghcb::field::rax) || !request_.valid.has(ghcb::field::rbx) ||
      (request_.rax & page_offset_mask) != 0) {
    return false;
  }
  if (request_.rbx == 0) {
    return true;
  }
  const std::array<u8, certificate_entry_bytes> empty_table{};
  return vm_.memory.write_shared(GuestPhysical(request_.rax), empty_table).ok();
}

VcpuImpl::Exit VcpuImpl::event_guest_request() {
  std::array<u8, page_size> request;
  std::array<u8, page_size> response;
  if (!vm_.memory.read_shared(GuestPhysical(request_.exit_info1), request)) {
    return refuse(EIO, "the page of a guest request cannot be read");
  }
  if (!prepare_certificates(request)) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  const auto status = vm_.snp.guest_request(request, response);
  if (!status) {
    return refuse(status.error().number, status.error().what);
  }
  if (!vm_.memory.write_shared(GuestPhysical(request_.exit_info2), response)) {
    return refuse(EIO, "the page for a guest request's response cannot be written");
  }
  respond(0, *status);
  return std::nullopt;
}

}  // namespace softsnp::kvm
