// Asking the hypervisor to make pages private or shared. Early, before there is a GHCB, page by
// page through the MSR; late, in batches through the GHCB. GHCB sheet 2.1, 3.5.
#pragma once

#include "guest/runtime/ghcb_client.hpp"
#include "guest/runtime/msr_protocol.hpp"
#include "guest/runtime/page_batch.hpp"

namespace softsnp::guest {

class PageStatePath {
 public:
  // Of each entry its page and size count; all get `operation`. After a failure the first
  // Interrupted::entries of them are changed, and Interrupted::pages of the next.
  virtual Step change(PageBatch::Entries entries, ghcb::PageOperation operation) = 0;

 protected:
  ~PageStatePath() = default;
};

class EarlyPageState final : public PageStatePath {
 public:
  explicit EarlyPageState(Processor& processor) : msr_(processor) {}
  Step change(PageBatch::Entries entries, ghcb::PageOperation operation) override;

 private:
  MsrProtocol msr_;
};

class LatePageState final : public PageStatePath {
 public:
  explicit LatePageState(GhcbClient& client) : client_(client) {}
  Step change(PageBatch::Entries entries, ghcb::PageOperation operation) override;

 private:
  GhcbClient& client_;
};

}  // namespace softsnp::guest
