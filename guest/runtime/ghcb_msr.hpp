// MSRs of which the hypervisor has to be asked. GHCB sheet 3.1.
#pragma once

#include "guest/runtime/ghcb_client.hpp"

namespace softsnp::guest {

// EDX:EAX of the reply to the request just made: a counter or an MSR.
Handled<u64> edx_eax(const GhcbClient& client);

// Whole requests. Failures: the GHCB is in use, the hypervisor's error or the exception it asks
// for.
Handled<u64> read_msr(GhcbClient& client, u32 msr);
Handled<void> write_msr(GhcbClient& client, u32 msr, u64 value);

}  // namespace softsnp::guest
