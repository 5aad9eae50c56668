#include "hypervisor/host/psp_mailbox.hpp"

namespace softsnp::host {

psp::Status PspMailbox::command(psp::Command id, std::span<u8> buffer) {
  if (buffer.size() > page_size) {
    broken_invariant("a command buffer exceeds its page");
  }
  if (page_ == SystemPhysical(0)) {
    const auto page = memory_.allocate(PageSize::size_4k);
    if (!page) {
      return psp::Status::resource_limit;
    }
    page_ = *page;
  }
  memory_.store_own(page_, buffer);
  const u16 status = memory_.port().psp_command(static_cast<u32>(id), page_);
  memory_.load_own(page_, buffer);
  return static_cast<psp::Status>(status);
}

}  // namespace softsnp::host
