// CPUID in an SNP guest: out of the page that the firmware has checked. What the page cannot know
// is taken from the hypervisor (APIC ids) and from the processor's own state, as Linux does
// (arch/x86/coco/sev/shared.c). Firmware sheet 3.2; GHCB sheet 3.1.
#pragma once

#include "arch/psp/cpuid_page.hpp"
#include "guest/runtime/ghcb_client.hpp"
#include "guest/runtime/msr_protocol.hpp"

namespace softsnp::guest {

struct CpuidValue {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
  friend constexpr bool operator==(const CpuidValue&, const CpuidValue&) = default;
};

// The hypervisor's opinion.
class HostCpuid {
 public:
  virtual Handled<CpuidValue> cpuid(u32 leaf, u32 subleaf) = 0;

 protected:
  ~HostCpuid() = default;
};

// Before there is a GHCB: subleaf 0 alone.
class EarlyHostCpuid final : public HostCpuid {
 public:
  explicit EarlyHostCpuid(Processor& processor) : msr_(processor) {}
  Handled<CpuidValue> cpuid(u32 leaf, u32 subleaf) override;

 private:
  MsrProtocol msr_;
};

class LateHostCpuid final : public HostCpuid {
 public:
  explicit LateHostCpuid(GhcbClient& client) : client_(client) {}
  Handled<CpuidValue> cpuid(u32 leaf, u32 subleaf) override;

 private:
  GhcbClient& client_;
};

class CpuidTable {
 public:
  // The page stays where it is: private, validated memory.
  static Checked<CpuidTable> of(const psp::CpuidPage& page);

  // As the instruction would answer here and now.
  Handled<CpuidValue> query(u32 leaf, u32 subleaf, HostCpuid& host, Processor& processor) const;

 private:
  explicit CpuidTable(const psp::CpuidPage& page) : page_(&page) {}

  const psp::CpuidEntry* find(u32 leaf, u32 subleaf) const;
  bool in_range(u32 leaf) const;
  Handled<CpuidValue> with_apic_ids(u32 leaf, CpuidValue value, HostCpuid& host) const;
  Handled<CpuidValue> with_state_sizes(u32 subleaf, CpuidValue value, Processor& processor) const;
  u32 state_size(u64 features, bool compacted) const;

  const psp::CpuidPage* page_;
};

}  // namespace softsnp::guest
