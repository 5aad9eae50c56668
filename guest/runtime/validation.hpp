// PVALIDATE over a batch: by the instruction at VMPL0, by the SVSM elsewhere (svsm_validation.hpp).
// Hardware sheet 4.6; GHCB sheet 6.
#pragma once

#include "guest/runtime/page_batch.hpp"
#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

class Validation {
 public:
  // A page that already is what it shall become is a failure: the hypervisor may have put another
  // page there, or the caller validates twice.
  virtual Step set(PageBatch::Entries entries, bool validated) = 0;

 protected:
  ~Validation() = default;
};

// 2 MiB at once where the RMP allows it (result FAIL_SIZEMISMATCH: page by page).
class DirectValidation final : public Validation {
 public:
  DirectValidation(Processor& processor, DirectMap map) : processor_(processor), map_(map) {}
  Step set(PageBatch::Entries entries, bool validated) override;

 private:
  Step set_small_pages(const ghcb::PageStateEntry& entry, bool validated);

  Processor& processor_;
  DirectMap map_;
};

}  // namespace softsnp::guest
