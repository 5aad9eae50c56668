// ASIDs of guests with encrypted memory. A used ASID is dirty until WBINVD and DF_FLUSH; flushing
// waits until no clean one is left, as in KVM. Hardware sheet 1.1 (CPUID Fn8000_001F), firmware
// sheet 1.4.
#pragma once

#include <vector>

#include "hypervisor/host/platform.hpp"

namespace softsnp::host {

// Guests without encrypted state take the upper part of the ASIDs, others the lower.
enum class AsidKind : u8 { encrypted_state, sev_only };

class AsidPool {
 public:
  AsidPool(machine::HostPort& port, Platform& platform);

  Result<Asid, Error> allocate(AsidKind kind);
  void release(Asid asid);
  // Lowest ASID that no SEV guest can have: ordinary guests.
  u32 first_plain() const { return highest_sev_ + 1; }

 private:
  enum class State : u8 { clean, used, dirty };
  Platform& platform_;
  u32 highest_sev_;
  u32 first_sev_only_;         // MinSevNoEsAsid
  std::vector<State> states_;  // by ASID
};

}  // namespace softsnp::host
