// What both sides can: GHCB protocol version and the hypervisor's features. GHCB sheet 4.1, 2.2.
#pragma once

#include "arch/ghcb/ghcb.hpp"
#include "guest/runtime/msr_protocol.hpp"

namespace softsnp::guest {

struct Protocol {
  u16 version = 0;
  u64 features = 0;  // 0 with version 1, which has none
  bool has(u64 feature) const { return (features & feature) == feature; }
};

// What the caller cannot do without; for an SNP guest feature::sev_snp at least.
struct Needs {
  u16 lowest_version = ghcb::protocol_version_min;
  u64 features = 0;
};
inline constexpr Needs snp_needs{ghcb::protocol_version_max, ghcb::feature::sev_snp};

Checked<Protocol> negotiate(MsrProtocol& msr, const Needs& needs);

}  // namespace softsnp::guest
