#include "hypervisor/kvm/ghcb_request.hpp"

#include <initializer_list>

#include "arch/ghcb/ap_creation.hpp"
#include "arch/svm/exit_code.hpp"

namespace softsnp::kvm {
namespace field = ghcb::field;
using ghcb::Event;
using ghcb::Malformed;

namespace {

bool has_all(const GhcbRequest& request, std::initializer_list<unsigned> fields) {
  for (const unsigned offset : fields) {
    if (!request.valid.has(offset)) {
      return false;
    }
  }
  return true;
}

bool io_has_input(const GhcbRequest& request) {
  if ((request.exit_info1 & svm::ioio::string) != 0) {
    return has_all(request, {field::sw_scratch});
  }
  return (request.exit_info1 & svm::ioio::in) != 0 || has_all(request, {field::rax});
}

bool guest_request_is_sound(const GhcbRequest& request, GuestKind guest) {
  return guest == GuestKind::snp && (request.exit_info1 & page_offset_mask) == 0 &&
         (request.exit_info2 & page_offset_mask) == 0 && request.exit_info1 != request.exit_info2;
}

}  // namespace

GhcbRequest read_request(GuestPhysical at, const ghcb::Ghcb& page) {
  GhcbRequest r;
  r.ghcb = at;
  r.valid = page.valid_bitmap;
  r.usage = page.usage;
  r.exit_code = page.sw_exitcode;
  r.exit_info1 = page.sw_exitinfo1;
  r.exit_info2 = page.sw_exitinfo2;
  r.rax = r.valid.has(field::rax) ? page.rax : 0;
  r.rbx = r.valid.has(field::rbx) ? page.rbx : 0;
  r.rcx = r.valid.has(field::rcx) ? page.rcx : 0;
  r.rdx = r.valid.has(field::rdx) ? page.rdx : 0;
  r.rsi = r.valid.has(field::rsi) ? page.rsi : 0;
  r.xcr0 = r.valid.has(field::xcr0) ? page.xcr0 : 0;
  r.scratch = r.valid.has(field::sw_scratch) ? page.sw_scratch : 0;
  r.cpl = r.valid.has(field::cpl) ? page.cpl : u8{0};
  return r;
}

// GHCB sheet 1.7, rows 4 to 9, and the "must be valid" columns of 3.1 and 3.4.
std::optional<Malformed> check_request(const GhcbRequest& request, GuestKind guest) {
  if (request.usage != ghcb::usage_standard) {
    return Malformed::invalid_usage;
  }
  if (!has_all(request, {field::sw_exitcode, field::sw_exitinfo1, field::sw_exitinfo2})) {
    return Malformed::missing_input;
  }
  bool complete = true;
  switch (request.event()) {
    case Event::dr7_read:
    case Event::rdtsc:
    case Event::invd:
    case Event::rdtscp:
    case Event::wbinvd:
    case Event::nmi_complete:
    case Event::ap_reset_hold:
    case Event::ap_jump_table:
    case Event::features:
    case Event::termination:
    case Event::unsupported:
      break;
    case Event::dr7_write:
      complete = has_all(request, {field::rax});
      break;
    case Event::rdpmc:
      complete = has_all(request, {field::rcx});
      break;
    case Event::cpuid:
      complete = has_all(request, {field::rax, field::rcx}) &&
                 (request.rax != 0xD || has_all(request, {field::xcr0}));
      break;
    case Event::ioio:
      complete = io_has_input(request);
      break;
    case Event::msr:
      complete = has_all(request, {field::rcx}) &&
                 (request.exit_info1 == 0 || has_all(request, {field::rax, field::rdx}));
      break;
    case Event::vmmcall:
      complete = has_all(request, {field::rax, field::cpl});
      break;
    case Event::monitor:
      complete = has_all(request, {field::rax, field::rcx, field::rdx});
      break;
    case Event::mwait:
      complete = has_all(request, {field::rax, field::rcx});
      break;
    case Event::mmio_read:
    case Event::mmio_write:
      complete = has_all(request, {field::sw_scratch});
      break;
    case Event::page_state_change:
      complete = guest == GuestKind::snp && has_all(request, {field::sw_scratch});
      break;
    case Event::guest_request:
    case Event::extended_guest_request:
      complete = guest_request_is_sound(request, guest);
      break;
    case Event::ap_creation:
      complete = guest == GuestKind::snp && (ghcb::decode_ap_creation(request.exit_info1).request ==
                                                 ghcb::ApRequest::destroy ||
                                             has_all(request, {field::rax}));
      break;
    case Event::apic_id_list:
      complete = guest == GuestKind::snp && has_all(request, {field::rax});
      break;
    case Event::run_vmpl:
    case Event::hv_doorbell_page:
    case Event::hv_ipi:
    case Event::hv_timer:
    case Event::configure_injection:
    case Event::disable_alternate_injection:
    case Event::specific_eoi:
      complete = guest == GuestKind::snp;
      break;
    default:
      return Malformed::invalid_event;
  }
  if (!complete) {
    return Malformed::missing_input;
  }
  return std::nullopt;
}

}  // namespace softsnp::kvm
