// Which CPUID values a guest may be told: the policy of the CPUID page. Firmware sheet 3.2.
#pragma once

#include <span>

#include "arch/psp/cpuid_page.hpp"
#include "machine/psp/platform_view.hpp"

namespace softsnp::psp {

enum class CpuidVerdict : u8 { accepted, corrected, malformed };

// Checks the page and corrects it in place where a value is outside of policy. A malformed header
// leaves the page as it is.
CpuidVerdict check_cpuid_page(CpuidPage& page, const PlatformView& platform);
// One entry; true if it was within policy. Shared with the CPUID guest message.
bool check_cpuid_entry(CpuidEntry& entry, const PlatformView& platform);

// One register of one leaf. The rule kinds are those of the sheet: `=`, `&`, `<`, `-`.
enum class RuleKind : u8 {
  free,
  equal,
  mask,          // only bits of value
  maximum,       // unsigned, at most value
  mask_or_zero,  // as mask, but a violation yields 0
};

struct FieldRule {
  RuleKind kind = RuleKind::free;
  u32 value = 0;
  u8 high = 31;
  u8 low = 0;
};

// Values that are no constants.
enum class Computed : u8 {
  none,
  signature,           // leaf 1 EAX: not above the real processor
  xsave_features,      // leaf D.0 EAX: must contain x87 and SSE
  xsave_size,          // leaf D.0 EBX: from XCR0_IN
  xsave_compact_size,  // leaf D.1 EBX: from XCR0_IN and XSS_IN
};

struct RegisterRule {
  FieldRule fields[3]{};
  u32 reserved = 0;  // bits that must be zero afterwards
  // A mask of features: bits that the platform's processor lacks are outside of policy too, save
  // those of `always`, which software sets or a hypervisor provides.
  bool features = false;
  u32 always = 0;
  Computed computed = Computed::none;
};

struct LeafRule {
  static constexpr u8 no_component = 0;
  u32 leaf;
  u32 subleaf;
  RegisterRule eax, ebx, ecx, edx;
  // XSAVE component that the leaf describes: without it in the processor, all outputs are zero.
  u8 component = no_component;
};

std::span<const LeafRule> cpuid_policy();

}  // namespace softsnp::psp
