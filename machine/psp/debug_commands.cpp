// SNP_DBG_DECRYPT and SNP_DBG_ENCRYPT. Firmware sheet 1.6.
#include <array>

#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/handlers.hpp"
#include "machine/psp/vmsa_protection.hpp"

namespace softsnp::psp {

namespace {

using Page = std::array<u8, page_size>;

Status check_debug(Request& request) {
  if ((request.context->policy & policy::debug) == 0) {
    return request.fail(Status::policy_failure, "POLICY.DEBUG is clear");
  }
  if (!request.context->active()) {
    return request.fail(Status::inactive, "the guest has no ASID");
  }
  return Status::success;
}

// Register protection is removed from a VMSA on its way out and put back on its way in; the
// debugger sees registers. The nonce travels with the page.
void tweak_if_vmsa(Page& page, const PageView& guest_page) {
  if (!guest_page.entry.vmsa()) {
    return;
  }
  auto vmsa = load_le<svm::Vmsa>(page.data());
  if (register_protected(vmsa)) {
    apply_register_protection(vmsa, genoa_tweak_bitmap);
    store_le(page.data(), vmsa);
  }
}

}  // namespace

Status snp_dbg_decrypt(Firmware& firmware, Request& request) {
  const Status status = check_debug(request);
  if (status != Status::success) {
    return status;
  }
  Page page;
  const PageView& source = request.pages[0];
  firmware.port.dram().read(source.at, memory::key_of(request.context->asid), page);
  tweak_if_vmsa(page, source);
  firmware.port.write(request.pages[1].at, page);
  return Status::success;
}

Status snp_dbg_encrypt(Firmware& firmware, Request& request) {
  const Status status = check_debug(request);
  if (status != Status::success) {
    return status;
  }
  Page page;
  const PageView& target = request.pages[1];
  firmware.port.read(request.pages[0].at, page);
  tweak_if_vmsa(page, target);
  firmware.port.dram().write(target.at, memory::key_of(request.context->asid), page);
  return Status::success;
}

}  // namespace softsnp::psp
