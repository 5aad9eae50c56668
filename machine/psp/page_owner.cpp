#include "machine/psp/page_owner.hpp"

namespace softsnp::psp {

Status check_guest_page(Request& request, const PageView& page) {
  return page.entry.asid() == request.context->asid
             ? Status::success
             : request.fail(Status::invalid_page_owner, "the page belongs to another ASID", page);
}

Status check_metadata_page(Request& request, const PageView& page) {
  return memory::metadata_context(page.entry) == request.context_page
             ? Status::success
             : request.fail(Status::invalid_page_owner, "the metadata page is another guest's",
                            page);
}

Status check_active(Request& request) {
  return request.context->active() ? Status::success
                                   : request.fail(Status::inactive, "the guest has no ASID");
}

Status check_swap_policy(Request& request) {
  return (request.context->policy & policy::page_swap_disable) == 0
             ? Status::success
             : request.fail(Status::policy_failure, "POLICY.PAGE_SWAP_DISABLE is set");
}

}  // namespace softsnp::psp
