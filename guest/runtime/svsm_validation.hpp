// PVALIDATE where only VMPL0 may execute it: the SVSM's call. SVSM sheet 4.2.
#pragma once

#include "arch/svsm/page_list.hpp"
#include "guest/runtime/svsm_client.hpp"
#include "guest/runtime/validation.hpp"

namespace softsnp::guest {

// The list lies in the calling area, behind its header.
class SvsmValidation final : public Validation {
 public:
  explicit SvsmValidation(SvsmClient& client) : client_(client) {}
  Step set(PageBatch::Entries entries, bool validated) override;

 private:
  // How many of the list's first entries are done, and what the SVSM said to the next.
  struct Progress {
    usize done;
    svsm::ResultCode code;
  };
  Checked<Progress> send(usize count);
  void put(usize index, GuestPhysical page, PageSize size, bool validated);
  Step set_small_pages(const ghcb::PageStateEntry& entry, bool validated);

  SvsmClient& client_;
};

}  // namespace softsnp::guest
