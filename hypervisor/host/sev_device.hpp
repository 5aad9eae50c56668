// What the host's owner tells the firmware: /dev/sev. Linux drivers/crypto/ccp/sev-dev.c
// (SNP_COMMIT, SNP_SET_CONFIG, SNP_VLEK_LOAD); firmware sheet 1.6.
#pragma once

#include "arch/psp/platform_buffers.hpp"
#include "hypervisor/host/sev_certificates.hpp"
#include "hypervisor/host/sev_mailbox.hpp"

namespace softsnp::host {

class SevDevice {
 public:
  SevDevice(HostMemory& memory, PspMailbox& psp, Platform& platform, Rmp& rmp, SevMailbox& sev)
      : memory_(memory), psp_(psp), platform_(platform), rmp_(rmp), sev_(sev) {}

  Result<SevPlatformCertificates, Error> pdh_cert_export();

  Result<void, Error> snp_commit();
  Result<void, Error> snp_set_config(const psp::SnpConfig& config);
  // The blob goes through a page of the host's.
  Result<void, Error> snp_vlek_load(const psp::WrappedVlek& wrapped);

 private:
  Result<void, Error> command(psp::Command id, std::span<u8> buffer, const char* what);
  template <class Buffer>
  Result<void, Error> command(psp::Command id, Buffer& buffer, const char* what) {
    return command(id, std::span<u8>(reinterpret_cast<u8*>(&buffer), sizeof buffer), what);
  }

  HostMemory& memory_;
  PspMailbox& psp_;
  Platform& platform_;
  Rmp& rmp_;
  SevMailbox& sev_;
};

}  // namespace softsnp::host
