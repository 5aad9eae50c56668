// Requests through the GHCB MSR: what a guest can ask before it has a GHCB. GHCB sheet 2.
#pragma once

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/ghcb/page_state_change.hpp"
#include "guest/runtime/cause.hpp"
#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

struct VersionRange {
  u16 lowest;
  u16 highest;
  u8 c_bit;
};

class MsrProtocol {
 public:
  explicit MsrProtocol(Processor& processor) : processor_(processor) {}

  Processor& processor() { return processor_; }
  // The value written, the value read back. Interrupts are off meanwhile, and the MSR holds
  // afterwards what it held before: it may have been a GHCB's address.
  u64 ask(u64 request);

  Checked<VersionRange> versions();
  Checked<u64> features();
  // ECX = 0.
  Checked<u32> cpuid(u32 function, ghcb::CpuidRegister which);
  // All ones: the hypervisor has no preference.
  Checked<u64> preferred_ghcb_frame();
  Checked<void> register_ghcb(GuestPhysical page);
  // One 4 KiB page.
  Checked<void> change_page_state(GuestPhysical page, ghcb::PageOperation operation);
  // Another level of this vCPU runs; comes back when this one runs again.
  Checked<void> run_vmpl(Vmpl vmpl);
  // Waits for INIT-SIPI, spurious wakes aside (at most `patience` of them).
  Checked<void> hold_for_start(u64 patience);

 private:
  Processor& processor_;
};

}  // namespace softsnp::guest
