// CREATE_VCPU. SVSM sheet 4.3.
#include "arch/svm/vmsa.hpp"
#include "arch/x86/registers.hpp"
#include "guest/svsm/permissions.hpp"
#include "guest/svsm/request.hpp"
#include "guest/svsm/translations.hpp"

namespace softsnp::svsm {
namespace {

struct Pages {
  GuestPhysical vmsa, calling_area;
};

ResultCode check_pages(Request& request, const Pages& pages, const GuestVcpu* target) {
  if (!pages.vmsa.is_page_aligned() || !pages.calling_area.is_page_aligned()) {
    return ResultCode::invalid_parameter;
  }
  // A vCPU that is made anew may keep its Calling Area.
  if (pages.vmsa == pages.calling_area || !request.state.is_free(page_at(pages.vmsa)) ||
      !request.state.is_free(page_at(pages.calling_area), target)) {
    return ResultCode::invalid_address;
  }
  return target == nullptr ? ResultCode::invalid_parameter : ResultCode::success;
}

template <class T>
bool field(Platform& platform, GuestPhysical vmsa, usize offset, T& value) {
  return read_value(platform, vmsa + offset, value);
}

// The page is closed to the guest already: what is read now stays.
ResultCode check_content(Request& request, GuestPhysical vmsa) {
  Platform& platform = request.platform;
  u8 vmpl = 0;
  u64 efer = 0;
  u64 features = 0;
  if (!field(platform, vmsa, __builtin_offsetof(svm::Vmsa, vmpl), vmpl) ||
      !field(platform, vmsa, __builtin_offsetof(svm::Vmsa, efer), efer) ||
      !field(platform, vmsa, __builtin_offsetof(svm::Vmsa, sev_features), features)) {
    return ResultCode::invalid_address;
  }
  const bool good = vmpl == number(request.state.guest_vmpl) && (efer & x86::efer::svme) != 0 &&
                    features == request.state.sev_features;
  return good ? ResultCode::success : ResultCode::invalid_parameter;
}

// Closes the page, looks into it, makes it a VMSA.
ResultCode convert(Request& request, GuestPhysical vmsa) {
  const RmpAnswer revoked = revoke(request.platform, vmsa, PageSize::size_4k);
  flush_translations(request.platform, request.state);
  if (!revoked.succeeded()) {
    return result_of(revoked);
  }
  if (const ResultCode checked = check_content(request, vmsa); checked != ResultCode::success) {
    return checked;
  }
  return result_of(make_vmsa(request.platform, vmsa, request.state.guest_vmpl));
}

}  // namespace

ResultCode create_vcpu(Request& request) {
  const Registers& in = request.registers;
  const Pages pages{GuestPhysical(in.rcx), GuestPhysical(in.rdx)};
  State& state = request.state;
  GuestVcpu* const target = state.vcpus.find(in.r8);
  if (const ResultCode checked = check_pages(request, pages, target);
      checked != ResultCode::success) {
    return checked;
  }
  VmsaRecord* const record = state.vcpus.free_record();
  if (record == nullptr) {
    return ResultCode::invalid_request;  // more VMSAs than any guest has use for
  }
  if (const ResultCode result = convert(request, pages.vmsa); result != ResultCode::success) {
    // Back to the guest; a page that is none was never ours to give.
    (void)grant(request.platform, pages.vmsa, PageSize::size_4k, state.guest_vmpl);
    return result;
  }
  *record = {pages.vmsa, target->apic_id, false};
  target->vmsa = pages.vmsa;
  target->calling_area = pages.calling_area;
  return ResultCode::success;
}

}  // namespace softsnp::svsm
