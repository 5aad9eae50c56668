// The guest's side of the GHCB: negotiation, registration, requests. GHCB sheet 1-4.
#pragma once

#include "arch/ghcb/events.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "arch/ghcb/page_state_change.hpp"

namespace softsnp::guest {

struct Reply {
  u64 info1 = 0, info2 = 0;
};

class GhcbClient {
 public:
  // The guest is SEV-ES or SNP.
  bool active() const { return page_ != nullptr; }
  // Version and feature negotiation, then page becomes shared and is registered. 0, or the
  // termination code (set 1) that a kernel would use.
  u32 start(ghcb::Ghcb* page);
  // SEV-ES: version 1 is enough, there are no features, and page needs no registration.
  u32 start_without_snp(ghcb::Ghcb* page);
  u64 hypervisor_features() const { return features_; }

  // Clears the valid bitmap; then the request's fields are set; then exit().
  void begin();
  void set(unsigned offset, u64 value);
  // One page-based exit of the request begun.
  Reply exit(u64 code, u64 info1, u64 info2);
  bool port_io(u16 port, unsigned size, bool in, u64& value);
  bool cpuid(u32 leaf, u32 subleaf, u64 regs[4]);
  bool msr(u32 number, bool write, u64& value);
  // Page state change of one entry by the page protocol; EXITINFO2 of the answer (0 = done).
  u64 change_page_state(u64 gpa, bool large, ghcb::PageOperation operation);
  // The same by the MSR protocol; 0 = done.
  u32 change_page_state_by_msr(u64 gpa, ghcb::PageOperation operation);
  [[noreturn]] void terminate(u8 reason_set, u8 reason_code);
  ghcb::Ghcb& page() { return *page_; }

 private:
  void adopt(ghcb::Ghcb* page, u16 version);

  ghcb::Ghcb* page_ = nullptr;
  u64 features_ = 0;
};

GhcbClient& ghcb();
// One request by the MSR protocol: the value written, the value read back.
u64 msr_protocol(u64 request);

}  // namespace softsnp::guest
