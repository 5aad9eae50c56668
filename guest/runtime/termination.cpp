#include "guest/runtime/termination.hpp"

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/x86/msr.hpp"

namespace softsnp::guest {

void terminate(Processor& processor, ghcb::TerminationReason reason) {
  const ghcb::TerminationRequest request{static_cast<u8>(reason.set), static_cast<u8>(reason.code)};
  for (;;) {
    processor.write_msr(x86::msr::ghcb, encode(request));
    processor.vmgexit();
    processor.halt();
  }
}

}  // namespace softsnp::guest
