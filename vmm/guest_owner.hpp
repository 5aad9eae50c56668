// The owner of an SEV or SEV-ES guest, who trusts the platform's firmware and not its host: begins
// a session with it, sees the measurement, and then gives secrets, or gives none. Firmware
// sheet 7.3.
#pragma once

#include <vector>

#include "arch/psp/sev_certificate.hpp"
#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::vmm {

// LAUNCH_SECRET: packet, sealed as header says, goes to gpa, within one page.
struct LaunchSecret {
  GuestPhysical gpa;
  std::vector<u8> header;
  std::vector<u8> packet;
};

class GuestOwner {
 public:
  virtual ~GuestOwner() = default;
  // A launch with the owner's session for the platform whose Diffie-Hellman certificate that is.
  virtual kvm::SevLaunchStart begin(u32 policy, const psp::SevCertificate& pdh) = 0;
  virtual std::vector<LaunchSecret> answer(const kvm::SevMeasurement& measurement) = 0;
};

}  // namespace softsnp::vmm
